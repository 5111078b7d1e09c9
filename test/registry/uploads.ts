/** The push half of distribution-spec, with the freedoms that registries take. */
import { type Answer, type Content, contentOf } from './faults.ts';
import { concat, type ServerRequest } from './http-server.ts';

export interface UploadOptions {
  /** How an upload's URL is told. Default: relative to the origin. `{path}` is path and query; '' tells none. */
  readonly location?: string;
  /** Bytes of a part at least, the last excepted: told as OCI-Chunk-Min-Length, and enforced. */
  readonly minChunk?: number;
  /** Repositories lend no blobs: 202. */
  readonly noMount?: boolean;
  /** What a part that was cut off has brought is forgotten, with the upload. */
  readonly forgetsCut?: boolean;
  /** Answers a manifest that refers to another with OCI-Subject. */
  readonly subject?: boolean;
  /** Manifests whose blobs or children are not here are refused. */
  readonly checks?: boolean;
}

export interface PushedRepository {
  readonly blobs: Map<string, Content>;
  readonly manifests: Map<string, { mediaType: string; digest: string; content: Content }>;
}

export interface UploadGround {
  readonly options: UploadOptions;
  readonly origin: string;
  readonly apiRoot: string;
  readonly repository: (name: string) => PushedRepository;
  readonly putManifest: (repo: string, object: string, mediaType: string, bytes: Uint8Array) => string;
  readonly sha256: (bytes: Uint8Array) => string;
}

interface Upload {
  readonly repo: string;
  bytes: Uint8Array;
}

/** The uploads that are open. */
export class Uploads {
  readonly #open = new Map<string, Upload>();
  #count = 0;

  get open(): number {
    return this.#open.size;
  }

  /** Undefined: the request is no part of a push. `path`: below the API's root. */
  answer(request: ServerRequest, path: string, ground: UploadGround): Answer | undefined {
    const upload = /^\/(.+)\/blobs\/uploads\/([^/]*)$/.exec(path);
    if (upload !== null) return this.#upload(request, upload[1] ?? '', upload[2] ?? '', ground);
    const manifest = /^\/(.+)\/manifests\/([^/]+)$/.exec(path);
    if (manifest === null || request.method !== 'PUT') return undefined;
    return putManifest(request, manifest[1] ?? '', manifest[2] ?? '', ground);
  }

  /** The connection has ended within the body of a request. */
  cut(request: ServerRequest, path: string, { options }: UploadGround): void {
    const id = /\/blobs\/uploads\/([^/]+)$/.exec(path)?.[1] ?? '';
    const upload = this.#open.get(id);
    if (upload === undefined) return;
    if (options.forgetsCut === true) this.#open.delete(id);
    else upload.bytes = concat([upload.bytes, request.body]);
  }

  #upload(request: ServerRequest, repo: string, id: string, ground: UploadGround): Answer {
    if (id === '')
      return request.method === 'POST' ? this.#begin(request, repo, ground) : error(405, 'UNSUPPORTED');
    const upload = this.#open.get(id);
    const { searchParams } = request.url;
    if (upload === undefined || upload.repo !== repo) return error(404, 'BLOB_UPLOAD_UNKNOWN');
    if (request.method === 'DELETE') {
      this.#open.delete(id);
      return empty(204);
    }
    if (searchParams.get('_state') !== 'a+b c') return error(400, 'BLOB_UPLOAD_INVALID');
    if (request.method === 'GET') return this.#told(204, id, upload, ground);
    if (request.method === 'PATCH') return this.#patch(request, id, upload, ground);
    if (request.method !== 'PUT') return error(405, 'UNSUPPORTED');
    return this.#finish(request, id, upload, ground);
  }

  #begin({ url }: ServerRequest, repo: string, ground: UploadGround): Answer {
    const [mount, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    const lent = mount === null || from === null ? undefined : ground.repository(from).blobs.get(mount);
    if (mount !== null && lent !== undefined && ground.options.noMount !== true) {
      ground.repository(repo).blobs.set(mount, lent);
      return created(`${ground.apiRoot}/${repo}/blobs/${mount}`, mount);
    }
    const id = `upload-${++this.#count}`;
    const upload = { repo, bytes: new Uint8Array() };
    this.#open.set(id, upload);
    return this.#told(202, id, upload, ground);
  }

  #patch(request: ServerRequest, id: string, upload: Upload, ground: UploadGround): Answer {
    const [, start] = /^(\d+)-\d+$/.exec(request.headers.get('content-range') ?? '') ?? [];
    if (start !== undefined && Number(start) !== upload.bytes.length)
      return this.#told(416, id, upload, ground);
    upload.bytes = concat([upload.bytes, request.body]);
    return this.#told(202, id, upload, ground);
  }

  #finish(request: ServerRequest, id: string, upload: Upload, ground: UploadGround): Answer {
    const bytes = concat([upload.bytes, request.body]);
    this.#open.delete(id);
    const digest = request.url.searchParams.get('digest') ?? '';
    if (ground.sha256(bytes) !== digest) return error(400, 'DIGEST_INVALID');
    ground.repository(upload.repo).blobs.set(digest, contentOf(bytes));
    return created(`${ground.apiRoot}/${upload.repo}/blobs/${digest}`, digest);
  }

  #told(
    status: number,
    id: string,
    { repo, bytes }: Upload,
    { options, apiRoot, origin }: UploadGround,
  ): Answer {
    const path = `${apiRoot}/${repo}/blobs/uploads/${id}?_state=a%2Bb%20c`;
    const location = (options.location ?? '{path}').replace('{path}', path).replace('{origin}', origin);
    return {
      status,
      headers: [
        ...(location === '' ? [] : [['Location', location] as [string, string]]),
        // As CNCF Distribution: 0-0 of an upload without bytes.
        ['Range', `0-${Math.max(0, bytes.length - 1)}`],
        ...(options.minChunk === undefined
          ? []
          : [['OCI-Chunk-Min-Length', String(options.minChunk)] as [string, string]]),
      ],
      content: contentOf(''),
    };
  }
}

function putManifest(request: ServerRequest, repo: string, object: string, ground: UploadGround): Answer {
  const { options, sha256 } = ground;
  const { blobs, manifests } = ground.repository(repo);
  const before = manifests.get(object);
  const ifMatch = request.headers.get('if-match');
  if (ifMatch !== undefined && ifMatch !== `"${before?.digest}"`) return error(412, 'UNKNOWN');
  if (request.headers.get('if-none-match') === '*' && before !== undefined) return error(412, 'UNKNOWN');
  const document = JSON.parse(new TextDecoder().decode(request.body)) as {
    config?: { digest: string };
    layers?: { digest: string; urls?: string[] }[];
    manifests?: { digest: string }[];
    subject?: { digest: string };
  };
  const needed = [...(document.config === undefined ? [] : [document.config]), ...(document.layers ?? [])];
  const lacks =
    needed.some(({ digest }) => !blobs.has(digest)) ||
    (document.manifests ?? []).some(({ digest }) => !manifests.has(digest));
  if (options.checks === true && lacks) return error(400, 'MANIFEST_BLOB_UNKNOWN');
  if (object.includes(':') && sha256(request.body) !== object) return error(400, 'DIGEST_INVALID');
  const digest = ground.putManifest(repo, object, request.headers.get('content-type') ?? '', request.body);
  const answer = created(`${ground.apiRoot}/${repo}/manifests/${digest}`, digest);
  if (options.subject === true && document.subject !== undefined)
    answer.headers.push(['OCI-Subject', document.subject.digest]);
  return answer;
}

function created(location: string, digest: string): Answer {
  return {
    status: 201,
    headers: [
      ['Location', location],
      ['Docker-Content-Digest', digest],
    ],
    content: contentOf(''),
  };
}

function empty(status: number): Answer {
  return { status, headers: [], content: contentOf('') };
}

function error(status: number, code: string): Answer {
  const message = code.toLowerCase().replaceAll('_', ' ');
  return {
    status,
    headers: [['Content-Type', 'application/json']],
    content: contentOf(JSON.stringify({ errors: [{ code, message, detail: {} }] })),
  };
}
