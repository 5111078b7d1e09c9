/** Errors of documents, of hosts in order, and of content. */
import { HawserError } from '../../../../src/core/errors.ts';
import { parseReference } from '../../../../src/core/reference/parse.ts';
import type { Reference } from '../../../../src/core/reference/reference.ts';
import { ALL_CAPABILITIES, type Host, type Hosts } from '../../../../src/core/registry/hosts.ts';
import { FAILS, type Row } from './kit.ts';
import {
  asked,
  blob,
  byMethod,
  fetching,
  finding,
  LIMITS,
  NO_REGISTRY,
  resolving,
  TOO_MUCH,
} from './scripts.ts';

const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const CAP = /^Manifests of at most 8388608 bytes are read$/;
const OTHER_DIGEST = { 'docker-content-digest': `sha256:${'b'.repeat(64)}` };

const DOCUMENTS: readonly Row[] = [
  {
    says: /: a tag or a digest is needed$/,
    hint: /^Write NAME:TAG or NAME@DIGEST; hawser tags NAME lists the tags$/,
    fail: asked({}, (client) =>
      client.resolve({ ...parseReference('reg.test/a'), tag: undefined } as Reference),
    ),
  },
  {
    says: /^rejecting more than 8388608 byte manifest for reg\.test\/a\/b:x$/,
    hint: CAP,
    fail: resolving({ body: TOO_MUCH }),
  },
  {
    says: /^rejecting 8388609 byte manifest for reg\.test\/a\/b:x$/,
    hint: CAP,
    fail: resolving({ headers: { 'content-length': '8388609' } }),
  },
  {
    says: /the answer \(text\/html\) is neither a manifest nor an index$/,
    hint: NO_REGISTRY,
    fail: resolving({ body: '<html>', headers: { 'content-type': 'text/html' } }),
  },
  {
    says: /the answer \(without a media type\) is neither a manifest nor an index$/,
    hint: NO_REGISTRY,
    fail: resolving({ body: '[]' }),
  },
  {
    says: /^GET https:\/\/reg\.test\/.*: content is sha256:[0-9a-f]{64}, want sha256:b{64}$/,
    hint: /^The registry, or something before it, changes the manifest on its way$/,
    fail: resolving({ body: '{"schemaVersion":2,"layers":[]}', headers: OTHER_DIGEST }),
  },
  {
    says: /^Cannot find sha256:a{64} in reg\.test\/a\/b: not found at https:\/\/reg\.test\/v2$/,
    hint: /a registry gives content only by a repository that it belongs to$/,
    fail: finding({ status: 404 }),
  },
  {
    says: /^Cannot find .*HEAD request to .*: 429 Too Many Requests$/,
    hint: LIMITS,
    fail: finding({ status: 429 }),
  },
  {
    says: /^Cannot find .*GET request to .*: 500 Internal Server Error$/,
    hint: FAILS,
    fail: finding(byMethod({ status: 405 }, { status: 500 })),
  },
  {
    says: /: the answer does not say the size$/,
    hint: /^A proxy before the registry may take the length away$/,
    fail: finding(byMethod({ status: 405 }, { body: TOO_MUCH })),
  },
];

const host = (name: string, more: Partial<Host> = {}): Host => ({
  name,
  base: new URL(`https://${name}/v2`),
  capabilities: ALL_CAPABILITIES,
  ...more,
});
const list = (...all: Host[]): { hosts: Hosts } => ({
  hosts: async () => ({ source: '/h/hosts.toml', hosts: all }),
});

const mirrored = (mirror: HawserError, own: HawserError, ref?: string) =>
  resolving(
    ({ url }) => {
      throw url.host === 'm.test' ? mirror : own;
    },
    list(host('m.test', { namespace: 'reg.test' }), host('reg.test')),
    ref,
  );
const exchange = (code: 'TLS' | 'ENOTFOUND', hint: string) =>
  new HawserError('Unavailable', code, { hint, reason: { type: 'exchange', code } });
const ownList = (namespace?: string) => list(host('m.test', { namespace }));

const HOST_LISTS: readonly Row[] = [
  {
    says: /^ENOTFOUND \(also tried: https:\/\/m\.test\/v2: TLS\)/,
    hint: /^https:\/\/m\.test\/v2 of \/h\/hosts\.toml: no TLS\. no name$/,
    fail: mirrored(exchange('TLS', 'no TLS'), exchange('ENOTFOUND', 'no name')),
  },
  {
    says: /^ENOTFOUND/,
    hint: /: no TLS\. no name\. `app:1` means docker\.io\/library\/app:1; an image elsewhere is HOST\/app:1$/,
    fail: mirrored(exchange('TLS', 'no TLS'), exchange('ENOTFOUND', 'no name'), 'app:1'),
  },
  {
    says: /^docker\.io\/library\/app:1: not found$/,
    hint: /`hawser catalog docker\.io` .*\. `app:1` means docker\.io\/library\/app:1; an image elsewhere is HOST\/app:1$/,
    fail: resolving({ status: 404 }, {}, 'app:1'),
  },
  {
    says: /^pull access denied.*: 401 Unauthorized$/,
    hint: /^The mirror wants credentials of its own: hawser login m\.test \(--user is for reg\.test alone\)$/,
    fail: resolving({ status: 401 }, ownList('reg.test')),
  },
  {
    says: /^failed to authorize: .*: 401 Unauthorized$/,
    hint: /^The mirror wants credentials of its own: hawser login m\.test \(/,
    fail: resolving(
      ({ url }) =>
        url.host === 'auth.test'
          ? { status: 401 }
          : { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://auth.test/t"' } },
      ownList('reg.test'),
    ),
  },
  {
    says: /^no host for reg\.test\/a\/b:x: none in \/h\/hosts\.toml has the capabilities pull and resolve$/,
    hint: /^Give one of them the capabilities pull and resolve, or pull by digest/,
    fail: resolving({}, list(host('m.test', { capabilities: ['pull'] }))),
  },
  {
    says: /has the capability pull$/,
    hint: /^Give one of them the capability pull, or/,
    fail: fetching({}, {}, blob(), list(host('m.test', { capabilities: ['push'] }))),
  },
  {
    says: /^reg\.test\/a\/b:x: not found \(also tried: https:\/\/m\.test\/v2: reg\.test\/a\/b:x: not found\)$/,
    hint: /^Check the repository and the tag: `hawser tags/,
    fail: resolving({ status: 404 }, list(host('m.test', { namespace: 'reg.test' }), host('reg.test'))),
  },
];

const PART = { end: 500, offset: 0 };
const missing =
  /^could not fetch content descriptor sha256:a{64} \(application\/vnd\.[^)]*\) from remote: not found/;
const urls = ['https://cdn.test/l?sig=hunter2'];
const tried = { foreignUrls: true };

const BODIES: readonly Row[] = [
  {
    says: /^Cannot fetch sha256:a{64} from 2000 to 1000: it has 1000 bytes$/,
    fail: fetching({}, { offset: 2000 }),
  },
  {
    says: /^https:\/\/reg\.test\/v2 does not give parts of blobs \(sha256:a{64}\)$/,
    fail: fetching({ status: 416 }, PART),
  },
  {
    says: /does not give parts of blobs/,
    fail: asked({ status: 416 }, async (client) => {
      const fetcher = client.fetcher(parseReference('reg.test/a/b:x'));
      await fetcher.fetch(blob(), PART).catch(() => {});
      return await fetcher.fetch(blob(), PART);
    }),
  },
  { says: /: the server sent parts, though the whole was asked for$/, fail: fetching({ status: 206 }) },
  {
    says: /: the server sent parts, though the whole was asked for$/,
    fail: fetching({ headers: { 'content-type': 'multipart/byteranges' } }),
  },
  { says: /: 500 Internal Server Error$/, hint: FAILS, fail: fetching({ status: 500 }, { offset: 5 }) },
  {
    says: /sha256:a{64} is not what it was before$/,
    hint: /^The registry, or a cache before it, has put other content in its place$/,
    fail: fetching(
      { headers: { etag: '"new"' } },
      { offset: 5, validator: { host: 'https://reg.test/v2', etag: '"old"' } },
    ),
  },
  {
    // The registry is asked first, and its mirror lacks the blob.
    says: /the answer has 3 of the 1000 bytes of sha256:a{64} \(also tried/,
    hint: /^The registry, or a cache before it, has less of the blob than the manifest says, or something else in its place$/,
    fail: fetching(
      ({ url }) => (url.host === 'm.test' ? { status: 404 } : { headers: { 'content-length': '3' } }),
      { avoid: new Set(['https://m.test/v2']) },
      blob(),
      list(host('m.test', { namespace: 'reg.test' }), host('reg.test')),
    ),
  },
  {
    says: missing,
    hint: /^The registry has the manifest but not this part of it: a mirror that lags, or a push that did not end$/,
    fail: fetching({ status: 404 }),
  },
  {
    says: /not found; a foreign layer$/,
    hint: /^Registries need not have such layers, and the image does not say where this one is$/,
    fail: fetching({ status: 404 }, {}, blob({ mediaType: FOREIGN })),
  },
  {
    says: /a foreign layer, which its author keeps at https:\/\/cdn\.test\/l\?sig=REDACTED$/,
    hint: /^Registries need not have such layers: --foreign-urls asks there$/,
    fail: fetching({ status: 404 }, {}, blob({ mediaType: FOREIGN, urls })),
  },
  {
    says: /not found; the image says that it is at https:\/\/cdn\.test\/l\?sig=REDACTED$/,
    hint: /^It was asked for there before, and could not be had$/,
    fail: fetching({ status: 404 }, {}, blob({ urls }), tried),
  },
  {
    says: /unsupported content encoding "br", though identity was asked for$/,
    hint: /changes content on its way$/,
    fail: fetching({ headers: { 'content-encoding': 'br' } }),
  },
  {
    says: /its content encoding gzip is broken: /,
    hint: /changes content on its way$/,
    fail: fetching({ headers: { 'content-encoding': 'gzip' }, body: 'not gzip' }),
  },
  {
    says: /its content encoding gzip is broken: more than 67536 bytes for 1000 bytes of content$/,
    hint: /changes content on its way$/,
    fail: fetching({ headers: { 'content-encoding': 'gzip' }, body: 'x'.repeat(70_000) }),
  },
];

export const CONTENT: readonly Row[] = [...DOCUMENTS, ...HOST_LISTS, ...BODIES];
