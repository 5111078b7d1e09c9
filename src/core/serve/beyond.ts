/** What a repository of a registry gives for one request. */
import { orAborted } from '../async/abort.ts';
import type { ContentStore, Info } from '../content/content-store.ts';
import { ifFound, isKind, withHint } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { ServerRequest, ServerResponse } from '../ports/http-server.ts';
import type { Reference } from '../reference/reference.ts';
import { type Refusal, refusal } from './answers.ts';
import type { Bodies } from './bodies.ts';
import type { Contents } from './contents.ts';
import type { ServeEvent } from './events.ts';
import { isAway, isFrom, referenceIn, refusalOf, type TagTarget, type Upstream } from './upstream.ts';

export interface BeyondParts {
  readonly upstream: Upstream;
  /** `docker.io/library/alpine`. */
  readonly source: string;
  readonly content: Pick<ContentStore, 'info'>;
  readonly contents: Contents;
  readonly bodies: Bodies;
  readonly tell: (event: ServeEvent) => void;
}

/** What the store has of a blob that is asked for. */
export interface Stored {
  readonly info: Info | undefined;
  /** The bytes are damaged. */
  readonly rotten: boolean;
}

/** Failures of the registry are refusals, and told to the operator; those of this machine are thrown. */
export class Beyond {
  readonly #parts: BeyondParts;

  constructor(parts: BeyondParts) {
    this.#parts = parts;
  }

  /** The registry decides what a tag names. `known`: what the store says where the registry cannot be reached. */
  async tag(
    tag: string,
    known: Digest | undefined,
    absent: Refusal,
    call: Call,
  ): Promise<TagTarget | Refusal> {
    return await this.#attempt(tag, false, absent, call, async (reference) => {
      try {
        return await this.#parts.upstream.tag(reference, { ...call, older: known !== undefined });
      } catch (err) {
        if (known === undefined || !isAway(err)) throw err;
        return { digest: known, stale: true };
      }
    });
  }

  /** `mayHave`: an image of the repository reaches the document. Where a document is from does not say that the policy let it in. */
  async document(
    digest: Digest,
    mayHave: boolean,
    absent: Refusal,
    call: Call,
  ): Promise<TagTarget | Refusal> {
    const { content, upstream } = this.#parts;
    return await this.#attempt(digest, true, absent, call, async (reference) => {
      const info = await ifFound(content.info(digest, call));
      if (info !== undefined && mayHave) await upstream.touch(digest, call);
      else await upstream.document(reference, info && isFrom(info, reference) ? info : undefined, call);
      return { digest, stale: false };
    });
  }

  /** Of content that the store lacks, or that no image of the repository reaches. */
  async blob(
    digest: Digest,
    { info, rotten }: Stored,
    absent: Refusal,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const { upstream, contents, bodies } = this.#parts;
    const call = { signal: request.signal };
    return await this.#attempt(digest, true, absent, call, async (reference) => {
      if (info !== undefined && !rotten && isFrom(info, reference))
        return await contents.stored(info, request);
      if (request.method === 'HEAD') return contents.promised(digest, await upstream.size(reference, call));
      const { done } = await upstream.blob(reference, { ...call, anew: rotten });
      if (rotten) {
        await orAborted(done, request.signal);
        bodies.mended(digest);
      }
      return (await contents.coming(digest, done, request)) ?? absent;
    });
  }

  /** `known`: those of the store, which are all where the registry cannot be reached. */
  async tags(
    known: readonly string[] | undefined,
    absent: Refusal,
    call: Call,
  ): Promise<readonly string[] | Refusal> {
    return await this.#attempt('latest', false, absent, call, async (reference) => {
      try {
        return [...new Set([...(known ?? []), ...(await this.#parts.upstream.tags(reference, call))])];
      } catch (err) {
        if (known === undefined || !isAway(err)) throw err;
        return known;
      }
    });
  }

  /** What the registry lists; a digest that it does not know has no referrers. */
  async referrers(digest: Digest, call: Call): Promise<readonly Descriptor[] | Refusal> {
    const none = refusal(404, 'NAME_UNKNOWN', 'there is no such repository');
    return await this.#attempt(digest, true, none, call, async (reference) => {
      return (await ifFound(this.#parts.upstream.referrers(reference, call))) ?? [];
    });
  }

  async #attempt<T>(
    object: string,
    byDigest: boolean,
    absent: Refusal,
    { signal }: Call,
    ask: (reference: Reference) => Promise<T>,
  ): Promise<T | Refusal> {
    const { source, tell } = this.#parts;
    const reference = referenceIn(source, object, byDigest);
    if (reference === undefined) return absent;
    try {
      return await ask(reference);
    } catch (err) {
      signal?.throwIfAborted();
      const answer = refusalOf(err, reference.host, absent);
      if (answer === undefined) throw err;
      if (!isKind(err, 'NotFound')) tell({ type: 'failure', message: withHint(err) });
      return answer;
    }
  }
}
