/** Blobs as answers: whole, in parts, or while they arrive. */
import { orAborted } from '../async/abort.ts';
import type { ContentStore, Info } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { ServerRequest, ServerResponse } from '../ports/http-server.ts';
import { FOREVER, type Refusal, refusal, streamed } from './answers.ts';
import type { Bodies } from './bodies.ts';
import { conditionOf, partOf } from './conditions.ts';

type Request = Pick<ServerRequest, 'method' | 'headers' | 'signal'>;

const TYPE = { 'content-type': 'application/octet-stream' };

export class Contents {
  readonly #content: Pick<ContentStore, 'arriving' | 'info'>;
  readonly #bodies: Bodies;

  constructor(content: Pick<ContentStore, 'arriving' | 'info'>, bodies: Bodies) {
    this.#content = content;
    this.#bodies = bodies;
  }

  /** A blob that is in the store. */
  async stored(info: Info, { method, headers, signal }: Request): Promise<ServerResponse | Refusal> {
    const get = (header: string) => headers.get(header);
    const { digest, size } = info;
    const common = { ...namesOf(digest), 'cache-control': FOREVER };
    const condition = conditionOf(get, digest);
    if (condition !== undefined) return streamed(condition, common);
    const part = method === 'HEAD' ? 'head' : partOf(get, digest, size);
    if (part === 'none')
      return refusal(416, 'UNSUPPORTED', 'there are no such bytes', { 'content-range': `bytes */${size}` });
    const type = { ...common, ...TYPE, 'accept-ranges': 'bytes' };
    if (part === 'head') return streamed(200, { ...type, 'content-length': String(size) });
    if (part === 'whole') {
      const body = await this.#bodies.open(info, undefined, { signal });
      return streamed(200, { ...type, 'content-length': String(size) }, body);
    }
    const { start, end } = part;
    const range = {
      'content-range': `bytes ${start}-${end}/${size}`,
      'content-length': String(end - start + 1),
    };
    return streamed(206, { ...type, ...range }, await this.#bodies.open(info, part, { signal }));
  }

  /** A blob that some process is fetching is sent as it comes, from its start. Undefined: nobody is. */
  async arriving(digest: Digest, { method, signal }: Request): Promise<ServerResponse | undefined> {
    const arriving = await this.#content.arriving?.(digest, { signal });
    if (arriving === undefined) return undefined;
    const body = this.#bodies.follow(digest, arriving, { signal });
    if (method === 'HEAD') await body.cancel();
    return method === 'HEAD'
      ? this.promised(digest, arriving.size)
      : streamed(200, promise(digest, arriving.size), body);
  }

  /** The answer to HEAD for a blob that is not here. */
  promised(digest: Digest, size: number): ServerResponse {
    return streamed(200, promise(digest, size));
  }

  /** A blob that `done` brings: while it arrives where the store can tell, else once it is there. Undefined: it is not there. */
  async coming(
    digest: Digest,
    done: Promise<void>,
    request: Request,
  ): Promise<ServerResponse | Refusal | undefined> {
    const { signal } = request;
    const arriving = await this.arriving(digest, request);
    if (arriving !== undefined) return arriving;
    await orAborted(done, signal);
    const info = await ifFound(this.#content.info(digest, { signal }));
    return info === undefined ? undefined : await this.stored(info, request);
  }
}

function namesOf(digest: Digest): Readonly<Record<string, string>> {
  return { 'docker-content-digest': digest, etag: `"${digest}"` };
}

function promise(digest: Digest, size: number): Readonly<Record<string, string>> {
  return { ...namesOf(digest), ...TYPE, 'content-length': String(size) };
}
