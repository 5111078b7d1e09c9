/** Errors of lists: tags, repositories, referrers. */
import { parseReference } from '../../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES } from '../../../../src/core/registry/hosts.ts';
import type { RegistryOptions } from '../../../../src/core/registry/open.ts';
import { FAILS, type Row } from './kit.ts';
import {
  type Answer,
  type Asking,
  asked,
  DIGEST,
  LIMITS,
  NO_REGISTRY,
  reference,
  type Script,
  TOO_MUCH,
} from './scripts.ts';

const listing = (script: Script | Answer, options: RegistryOptions = {}): Asking =>
  asked(script, (client) => client.tags(parseReference('reg.test/a/b')), options);
const cataloguing = (answer: Answer, options: RegistryOptions = {}): Asking =>
  asked(answer, (client) => client.catalog('reg.test'), options);
const entering = (answer: Answer): Asking => asked(answer, (client) => client.access('reg.test'));
const referring = (script: Script | Answer, options: RegistryOptions = {}): Asking =>
  asked(script, (client) => client.referrers({ ...reference, digest: DIGEST }), options);

const leading = (link: string): Answer => ({
  headers: { link: `<${link}>; rel="next"` },
  body: '{"tags":[]}',
});
const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = { headers: { 'content-type': INDEX, 'content-length': '9' } };
/** The manifest is there; the list of its referrers is answered so. */
const listed =
  (answer: Answer): Script =>
  ({ url }) =>
    url.pathname.includes('/referrers/') ? answer : MANIFEST;

const mirrors = (more: object): RegistryOptions => ({
  hosts: async () => ({
    source: '/h/hosts.toml',
    hosts: [
      { name: 'm', base: new URL('https://m/v2'), capabilities: ALL_CAPABILITIES, namespace: 'x', ...more },
    ],
  }),
});

export const LISTS: readonly Row[] = [
  {
    says: /^reg\.test\/a\/b: not found$/,
    hint: /^Check the name of the repository; if it is private, give --user NAME, or log in: hawser login HOST$/,
    fail: listing({ status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' }),
  },
  {
    says: /^pull access denied, .*tags\/list\?n=REDACTED: 403 Forbidden$/,
    hint: /log in: hawser login HOST$/,
    fail: listing({ status: 403 }),
  },
  { says: /tags\/list\?n=REDACTED: 429 Too Many Requests$/, hint: LIMITS, fail: listing({ status: 429 }) },
  ...[401, 403, 404].map((status) => ({
    says: new RegExp(`^reg\\.test does not list its repositories: .*_catalog\\?n=REDACTED: ${status} `),
    hint: /^Many registries list them to nobody/,
    fail: cataloguing({ status }),
  })),
  {
    says: /^reg\.test refuses the credentials: .* 401 /,
    hint: /^Check the user, and the password or token and its rights$/,
    fail: entering({ status: 401 }),
  },
  {
    says: /^unexpected status from GET request to \S+\/v2\/: 500 /,
    hint: FAILS,
    fail: entering({ status: 500 }),
  },
  {
    says: /^unexpected status from GET request to \S+_catalog\?n=REDACTED: 500 /,
    hint: FAILS,
    fail: cataloguing({ status: 500 }),
  },
  {
    says: /^GET \S+n=REDACTED: Cannot read the list: not valid JSON/,
    hint: NO_REGISTRY,
    fail: listing({ body: '<html>' }),
  },
  {
    says: /^GET \S+n=REDACTED: Cannot use the list: tags\[0\]: must be printable ASCII of at most 255 characters$/,
    hint: NO_REGISTRY,
    fail: listing({ body: '{"tags":["a b"]}' }),
  },
  { says: /: Cannot use the list: it has no "tags"$/, hint: NO_REGISTRY, fail: listing({ body: '{}' }) },
  {
    says: /: the pages of the list lead in a circle$/,
    hint: /repeats a page/,
    fail: listing(leading('?last=a')),
  },
  {
    says: /: the list has more than 8388608 bytes in one page$/,
    hint: /^A list of that length is not read$/,
    fail: listing({ body: TOO_MUCH }),
  },
  {
    says: /the list has more than 2000 pages$/,
    hint: /^A list of that length is not read$/,
    fail: () => {
      let page = 0;
      return listing(() => leading(`?last=${++page}`))();
    },
  },
  {
    says: /: the next page at http:\/\/\[ has no URL$/,
    hint: NO_REGISTRY,
    fail: listing(leading('http://[')),
  },
  {
    says: /^GET https:\/\/reg\.test\/v2: the next page at http:\/\/reg\.test\/x is not asked for: it would leave TLS$/,
    hint: /^The registry leads to a place that it should not\. A registry behind a proxy that ends TLS/,
    fail: listing(leading('http://reg.test/x')),
  },
  {
    says: /^pull access denied, .*\/referrers\/sha256:a{64}: 403 Forbidden$/,
    hint: /log in: hawser login HOST$/,
    fail: referring(listed({ status: 403 })),
  },
  {
    says: /^GET \S+last=REDACTED: no list of referrers$/,
    fail: referring(({ url }) =>
      url.search !== ''
        ? { status: 404 }
        : listed({ headers: { 'content-type': INDEX, link: '<?last=1>; rel="next"' }, body: '{}' })({
            url,
          } as never),
    ),
  },
  {
    says: /^no host for reg\.test\/a\/b:x: none in \/h\/hosts\.toml has the capabilities pull and referrers$/,
    hint: /^Give one of them the capabilities pull and referrers$/,
    fail: referring(MANIFEST, mirrors({ capabilities: ['pull', 'resolve'] })),
  },
  {
    says: /^no host for reg\.test: none in \/h\/hosts\.toml has the capabilities pull and resolve and is no mirror$/,
    hint: /^The repositories are asked of the registry itself/,
    fail: cataloguing({}, mirrors({})),
  },
  {
    says: /has the capabilities pull and resolve and is no mirror$/,
    hint: /^The tags are asked of the registry itself/,
    fail: listing({}, mirrors({ capabilities: ['pull'] })),
  },
];
