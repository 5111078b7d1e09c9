/** Errors of what is sent to a registry. */
import assert from 'node:assert/strict';
import { streamOf } from '../../../../src/core/async/byte-stream.ts';
import type { Provider } from '../../../../src/core/content/content-store.ts';
import { HawserError } from '../../../../src/core/errors.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../../../src/core/oci/media-types.ts';
import type { Transport } from '../../../../src/core/ports/transport.ts';
import { hasManifest, putManifest } from '../../../../src/core/push/put-manifest.ts';
import { listUnderTag } from '../../../../src/core/push/referrers-tag.ts';
import { uploadBlob } from '../../../../src/core/push/upload-blob.ts';
import type { RegistryOptions } from '../../../../src/core/registry/open.ts';
import { redirects } from '../../../../src/core/registry/redirects.ts';
import type { RepositoryWriter } from '../../../../src/core/registry/registry.ts';
import { createHashers } from '../../../../src/platform/codecs/hashers.ts';
import { descriptor, fakeClock, scripted } from '../../../registry/client.ts';
import { FAILS, type Row } from './kit.ts';
import { type Answer, asked, asMe, blob, DIGEST, reference, type Script } from './scripts.ts';

const SESSION = { status: 202, headers: { location: '/v2/a/b/blobs/uploads/1' } };
const OTHER = `sha256:${'b'.repeat(64)}`;
/** Bytes of the blob in the store: fewer than it has. */
const BYTES = new Uint8Array(10);

function writing(
  script: Script | Answer,
  use: (writer: RepositoryWriter) => Promise<unknown>,
  options: RegistryOptions = {},
) {
  return asked(script, async (client) => await use(await client.writer(reference, {})), options);
}

/** Answers to the methods; HEAD is 404. */
function uploading(
  answers: Readonly<Partial<Record<'POST' | 'PUT' | 'PATCH' | 'GET', Answer>>>,
  {
    chunkSize,
    content = { open: async () => streamOf(BYTES) },
    options = {},
  }: { readonly chunkSize?: number; readonly content?: Provider; readonly options?: RegistryOptions } = {},
) {
  const script: Script = ({ method }) =>
    (answers as Readonly<Record<string, Answer>>)[method] ?? { status: method === 'DELETE' ? 204 : 404 };
  return writing(
    script,
    (writer) => {
      const deps = { writer, content, clock: fakeClock(), report: () => {}, retry: { tries: 0 } };
      return uploadBlob({ ...deps, chunkSize, contact: { isMade: false } }, blob(), undefined, {});
    },
    options,
  );
}

/** A server that reads what is sent. */
function reading(answer: Answer): RegistryOptions {
  const made = scripted(({ method }) =>
    method === 'POST' ? SESSION : method === 'HEAD' ? { status: 404 } : answer,
  );
  const send: Transport = async (request) => {
    if (request.body !== undefined && !(request.body instanceof Uint8Array))
      for await (const bytes of request.body.open()) assert.ok(bytes.length > 0);
    return await made.open().send(request);
  };
  return { around: () => send };
}

function putting(answer: Answer, mediaType: string, isSparse = false) {
  const desc = descriptor(mediaType, DIGEST, 2);
  const bytes = new TextEncoder().encode('{}');
  return writing(answer, (writer) => putManifest(writer, { desc, bytes }, { object: 'x', isSparse }, {}));
}

function listing(script: Script | Answer) {
  const document = { desc: descriptor(OCI_MANIFEST, DIGEST, 2), bytes: new TextEncoder().encode('{}') };
  return writing(script, (writer) =>
    listUnderTag({ writer, hashers: createHashers() }, document, DIGEST, {}),
  );
}

const busy = scripted(() => ({ status: 429, headers: { 'retry-after': '9' } })).open().send;
const GONE: Provider = {
  open: () => Promise.reject(new HawserError('NotFound', `content digest ${DIGEST}: not found`)),
};
const LACKS = JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }] });

export const PUSHES: readonly Row[] = [
  {
    says: /^no host for reg\.test\/a\/b:x: none in test has the capability push$/,
    hint: /^Give one of them the capability push$/,
    fail: writing({}, async () => {}, {
      hosts: async () => ({
        source: 'test',
        hosts: [{ name: 'reg.test', base: new URL('https://reg.test/v2'), capabilities: ['pull'] }],
      }),
    }),
  },
  {
    says: /^Cannot push sha256:a+ of 1000 bytes: push access denied: .*: 403 Forbidden$/,
    hint: /^Give --user NAME, or log in \(hawser login HOST\): registries let nobody push without a name$/,
    fail: uploading({ POST: { status: 403 } }),
  },
  {
    says: /push access denied: .*: 403 Forbidden$/,
    hint: /^the user me of \/x\/config\.json was refused, or may not push to a\/b; some registries want the repository/,
    fail: uploading({ POST: { status: 403 } }, { options: asMe }),
  },
  {
    says: /POST request to .*: 429 Too Many Requests$/,
    hint: /^The registry limits how much may be asked of it\. Wait/,
    fail: uploading({ POST: { status: 429 } }),
  },
  {
    says: /^POST https:\/\/reg\.test\/\S*: the answer does not say where to upload$/,
    hint: /^Is this really a registry\?/,
    fail: uploading({ POST: { status: 202 } }),
  },
  {
    says: /: upload to http:\/\/reg\.test\/u refused: it would leave TLS$/,
    hint: /^The registry, or something between it and us, sends the upload to a place that it should not/,
    fail: uploading({ POST: { status: 202, headers: { location: 'http://reg.test/u' } } }),
  },
  {
    says: /: upload to http:\/\/\[ refused: it is not a URL$/,
    hint: /^The registry, or something between it and us, sends the upload to a place that it should not$/,
    fail: uploading({ POST: { status: 202, headers: { location: 'http://[' } } }),
  },
  {
    says: /: 413 Payload Too Large$|: 413$/,
    hint: /takes no body of this size: whoever runs it can allow more$/,
    fail: uploading({ POST: SESSION, PUT: { status: 413 } }),
  },
  {
    says: /^Cannot push sha256:a+ of 1000 bytes: .*POST request to .*: 200$/,
    hint: /^This is no registry, or something before it answers in its place/,
    fail: uploading({ POST: { status: 200 } }),
  },
  {
    says: /^Cannot push sha256:a+: PUT https:\/\/reg\.test\/\S* was answered with 204, and it is not there$/,
    hint: /^This is no registry, or something before it answers in its place/,
    fail: uploading({ POST: SESSION, PUT: { status: 204 } }),
  },
  {
    says: /has stored sha256:b+, not sha256:a+$/,
    hint: /^The registry, or something before it, changes what is pushed/,
    fail: uploading({ POST: SESSION, PUT: { status: 201, headers: { 'docker-content-digest': OTHER } } }),
  },
  {
    says: /^Cannot push sha256:a+: it has other than 1000 bytes here$/,
    hint: /^The stored blob is damaged/,
    fail: uploading({}, { options: reading({ status: 201 }) }),
  },
  {
    says: /^Cannot push: content digest sha256:a+: not found$/,
    fail: uploading({}, { content: GONE, options: reading({ status: 201 }) }),
  },
  {
    says: /PATCH request to .*: 405 Method Not Allowed$/,
    hint: /^The server does not take that: --http-trace shows the exchanges, for whoever runs it$/,
    fail: uploading({ POST: SESSION, PATCH: { status: 405 } }, { chunkSize: 100 }),
  },
  ...[
    uploading({}, { options: { around: () => busy } }),
    writing({ status: 429, headers: { 'retry-after': '9' } }, (writer) =>
      hasManifest(writer, descriptor(OCI_MANIFEST, DIGEST, 2), 'x', {}),
    ),
  ].map((fail) => ({
    says: /HEAD request to .*: 429 Too Many Requests$/,
    hint: /^The registry limits how much may be pulled\. Wait 9 s, as it asks/,
    fail,
  })),
  {
    says: /the registry says to have 1000 bytes, of 100 that were sent$/,
    hint: /^The registry cannot take blobs in parts: leave --chunk-size away$/,
    fail: uploading(
      { POST: SESSION, PATCH: { status: 202, headers: { range: '0-999' } } },
      { chunkSize: 100 },
    ),
  },
  {
    says: /^Cannot push the manifest sha256:a+: .*: 400 Bad Request: manifest blob unknown$/,
    hint: /^The registry has lost, or cannot see yet, something that was sent to it/,
    fail: putting({ status: 400, body: LACKS }, OCI_MANIFEST),
  },
  {
    says: /^Cannot push sha256:a+: PUT https:\/\/reg\.test\/\S* was answered with 200, and it is not there$/,
    hint: /^This is no registry/,
    fail: putting({ status: 200, body: '<html>' }, OCI_MANIFEST),
  },
  {
    says: /^Cannot push the index sha256:a+: .*: 404 Not Found$/,
    hint: /^This registry does not take an index with absent platforms: fetch them all/,
    fail: putting({ status: 404 }, OCI_INDEX, true),
  },
  {
    says: /^Cannot push the manifest sha256:a+: .*: 413$|413 Payload Too Large$/,
    hint: /^The registry takes no document of 2 bytes/,
    fail: putting({ status: 413 }, OCI_MANIFEST),
  },
  {
    says: /^Cannot list what refers to the image: the tag sha256-a+ names no index$/,
    hint: /^Something else has taken the tag, which is for the list/,
    fail: listing({ status: 200, body: '{"layers":[],"config":{}}' }),
  },
  {
    says: /GET request to .*\/manifests\/sha256-a+: 500 Internal Server Error$/,
    hint: FAILS,
    fail: listing({ status: 500 }),
  },
  {
    says: /^PUT https:\/\/reg\.test\/v2\/: redirect to https:\/\/other\.test\/ refused: what is sent would be lost$/,
    hint: /^The registry, or something between it and us, sends the request to a place that it should not$/,
    fail: () =>
      redirects(
        new URL('https://reg.test'),
        async () => 'public',
      )(scripted(() => ({ status: 303, headers: { location: 'https://other.test/' } })).open().send)({
        method: 'PUT',
        url: new URL('https://reg.test/v2/'),
        headers: {},
      }),
  },
];
