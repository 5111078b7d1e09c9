/** Errors of refusals, redirects and token servers. */
import { parseReference } from '../../../../src/core/reference/parse.ts';
import { RepositoryClient } from '../../../../src/core/registry/client.ts';
import type { RegistryOptions } from '../../../../src/core/registry/open.ts';
import { reachByLookup, redirectRefusal } from '../../../../src/core/registry/reach.ts';
import { redirects } from '../../../../src/core/registry/redirects.ts';
import { lookupFailure } from '../../../../src/platform/http/guarded-lookup.ts';
import { scripted } from '../../../registry/client.ts';
import { FAILS, type Row } from './kit.ts';
import { type Answer, asMe, DIGEST, LIMITS, NO_REGISTRY, resolving, type Script } from './scripts.ts';

const LOGIN =
  /^Check the name of the repository; if it is private, give --user NAME, or log in: hawser login HOST$/;
const REFUSED_ME =
  /^Check the name of the repository; the user me of \/x\/config\.json was refused, or may not pull from it$/;
const UNKNOWN = JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] });

const STATUSES: readonly Row[] = [
  {
    says: /HEAD request to https:\/\/reg\.test\/v2\/a\/b\/manifests\/x: 429 Too Many Requests$/,
    hint: LIMITS,
    fail: resolving({ status: 429 }),
  },
  {
    says: /429 Too Many Requests$/,
    hint: /Wait 9 s, as it asks, or give --user/,
    fail: resolving({ status: 429, headers: { 'retry-after': '9' } }),
  },
  {
    says: /^reg\.test\/a\/b:x: not found$/,
    hint: /^Check the repository and the tag: `hawser tags reg\.test\/a\/b` lists the tags, `hawser catalog reg\.test` the repos/,
    fail: resolving({ status: 404, body: UNKNOWN }),
  },
  {
    says: /^reg\.test\/a\/b:latest: not found$/,
    hint: /^Name a tag: without one, `latest` is taken, .*: `hawser tags reg\.test\/a\/b` lists the tags/,
    fail: resolving({ status: 404 }, {}, 'reg.test/a/b'),
  },
  {
    says: /: not found: no such project$/,
    hint: /^Check the repository and the digest: `hawser catalog reg\.test` lists the repositories/,
    fail: resolving({ status: 404, body: '{"message":"no such project"}' }, {}, `reg.test/a/b@${DIGEST}`),
  },
  {
    says: /^pull access denied, repository does not exist or may require authorization: .*: 403 Forbidden: denied$/,
    hint: LOGIN,
    fail: resolving({ status: 403, body: '{"errors":[{"code":"DENIED"}]}' }),
  },
  { says: /: 401 Unauthorized$/, hint: LOGIN, fail: resolving({ status: 401 }) },
  { says: /: 403 Forbidden$/, hint: REFUSED_ME, fail: resolving({ status: 403 }, asMe) },
  {
    says: /: 500 Internal Server Error: disk full$/,
    hint: FAILS,
    fail: resolving({ status: 500, body: 'disk full', headers: { 'content-type': 'text/plain' } }),
  },
  { says: /: 410$/, fail: resolving({ status: 410 }) },
  {
    says: /: 400 Bad Request$/,
    hint: /^The registry speaks TLS: leave out --plain-http, or for a local one give --tlscacert or --skip-verify$/,
    fail: resolving({ status: 400, body: 'sent to HTTPS port' }, { plainHttp: true }),
  },
];

/** `reg.test` leads everything to this place, which answers so. */
const led = (to: string, answer: Answer, options: RegistryOptions = {}) =>
  resolving(
    ({ url }) => (url.href.startsWith(to) ? answer : { status: 307, headers: { location: to } }),
    options,
  );

const REDIRECTS: readonly Row[] = [
  {
    says: /request to https:\/\/s3\.test\/x: 403 Forbidden: AccessDenied: Request has expired$/,
    hint: /^reg\.test led to s3\.test, which refuses and is sent no credentials: whoever runs the registry can tell why$/,
    fail: led(
      'https://s3.test/x',
      { status: 403, body: '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>' },
      asMe,
    ),
  },
  {
    says: /request to https:\/\/reg\.test\/v2\/y: 401 Unauthorized$/,
    hint: /^The registry speaks TLS at https:\/\/reg\.test: have it asked there, with https in hosts\.toml or without --plain-http$/,
    fail: led('https://reg.test/v2/y', { status: 401 }, { plainHttp: true }),
  },
  ...['https://reg.test/login', 'https://reg.test:8443/v2/y'].map((to) => ({
    says: /401 Unauthorized$/,
    hint: /^reg\.test led to reg\.test(?::8443)?, which refuses and is sent no credentials: whoever runs the registry can tell why$/,
    fail: led(to, { status: 401 }, { plainHttp: true }),
  })),
  {
    says: /^HEAD https:\/\/reg\.test\/v2\/a\/b\/manifests\/x: stopped after 10 redirects$/,
    hint: /in a circle$/,
    fail: resolving(({ url }) => ({ status: 307, headers: { location: url.href } })),
  },
  {
    says: /redirect to http:\/\/ refused: it is not a URL$/,
    hint: /a place that it should not$/,
    fail: resolving({ status: 307, headers: { location: 'http://' } }),
  },
  {
    says: /redirect to http:\/\/s3\.test\/ refused: it would leave TLS$/,
    hint: /told its own address with https, which its operator can do$/,
    fail: led('http://s3.test/', {}),
  },
  {
    says: /redirect to https:\/\/10\.0\.0\.1\/ refused: this registry may not lead to a private address$/,
    hint: /If it is meant to, this allows it: --reach private, or reach = "private" at the registry in hosts\.toml$/,
    fail: led('https://10.0.0.1/', {}),
  },
  {
    says: /^Cannot tell where reg\.test may lead: looking up reg\.test: the name could not be looked up \(try again\)$/,
    hint: /^Check the name and the port of the registry, the network and the proxy settings$/,
    fail: () => {
      const err = Object.assign(new Error('try again'), { code: 'EAI_AGAIN' });
      const lookup = async () => Promise.reject(lookupFailure('reg.test', err));
      const leader = { registry: new URL('https://reg.test'), reach: reachByLookup({ lookup }) };
      return redirectRefusal(new URL('https://10.0.0.1'), leader, {});
    },
  },
  {
    says: /redirect to https:\/\/169\.254\.169\.254\/ refused: this registry may not lead to a special address$/,
    hint: /a place that it should not$/,
    fail: led('https://169.254.169.254/', {}),
  },
  {
    says: /refused: it is neither http nor https$/,
    hint: /a place that it should not$/,
    fail: led('ftp://s3.test/', {}),
  },
  {
    says: /^POST https:\/\/auth\.test\/: redirect to https:\/\/other\.test\/ refused: what is sent may hold secrets$/,
    hint: /a place that it should not$/,
    fail: () => {
      const away = scripted(() => ({ status: 307, headers: { location: 'https://other.test/' } })).open();
      const layer = redirects(new URL('https://auth.test'), async () => 'public');
      return layer((request) => away.send(request))({
        method: 'POST',
        url: new URL('https://auth.test'),
        headers: {},
        body: new Uint8Array(1),
      });
    },
  },
  {
    says: /^GET https:\/\/cdn\.test\/l refused: not allowed$/,
    fail: () => {
      const deps = { foreign: undefined, reach: async () => 'public', partless: new Set() } as never;
      return new RepositoryClient(deps, parseReference('reg.test/a')).sendForeign(
        new URL('https://cdn.test/l'),
        {},
        {},
      );
    },
  },
];

const tokens = (
  token: Answer | Script,
  options: RegistryOptions = {},
  challenge = 'Bearer realm="https://auth.test/t"',
) =>
  resolving((request) => {
    if (request.url.host === 'auth.test') return typeof token === 'function' ? token(request) : token;
    return { status: 401, headers: { 'www-authenticate': challenge } };
  }, options);
const MY_TOKEN =
  /^Check the password or token of the user me of \/x\/config\.json, and whether it may pull from the repository$/;

const TOKENS: readonly Row[] = [
  {
    says: /^https:\/\/reg\.test\/.*: failed to authorize: no realm specified for token auth challenge$/,
    hint: /^The registry does not say where tokens are to be had/,
    fail: tokens({}, {}, 'Bearer service="s"'),
  },
  {
    says: /token realm nonsense refused: it is not a URL$/,
    hint: /a place that it should not; no credential was sent$/,
    fail: tokens({}, asMe, 'Bearer realm="nonsense"'),
  },
  {
    says: /token realm http:\/\/auth\.test\/t refused: it has no TLS, though the registry has$/,
    hint: /no credential was sent\. A registry behind a proxy that ends TLS/,
    fail: tokens({}, asMe, 'Bearer realm="http://auth.test/t"'),
  },
  {
    says: /token realm https:\/\/127\.0\.0\.1\/t refused: a registry may not lead to a loopback address other than its own$/,
    hint: /no credential was sent\. If it is meant to, this allows it: --reach loopback, or reach = "loopback" at/,
    fail: tokens({}, asMe, 'Bearer realm="https://127.0.0.1/t"'),
  },
  {
    says: /^failed to authorize: failed to fetch oauth token: .*: 401 Unauthorized: invalid grant: wrong$/,
    hint: MY_TOKEN,
    fail: tokens({ status: 401, body: '{"error":"invalid_grant","error_description":"wrong"}' }, asMe),
  },
  { says: /failed to fetch anonymous token: .*: 403 Forbidden$/, hint: LOGIN, fail: tokens({ status: 403 }) },
  {
    says: /failed to fetch anonymous token: .*: 429 Too Many Requests$/,
    hint: LIMITS,
    fail: tokens({ status: 429 }),
  },
  {
    says: /: authorization server did not include a token in the response$/,
    hint: /^The token server answered, but not with a token: whoever runs it can tell why$/,
    fail: tokens({ body: '{}' }),
  },
  {
    says: /holds a token that cannot be sent in a header$/,
    hint: /^The token server answered, but not with a token/,
    fail: tokens({ body: '{"token":"a b"}' }),
  },
  {
    says: /the token server's answer to the GET request to https:\/\/auth\.test\/t\?.* is not a JSON object$/,
    hint: NO_REGISTRY,
    fail: tokens({ body: '<html>' }),
  },
  { says: / is longer than 131072 bytes$/, hint: NO_REGISTRY, fail: tokens({ body: 'x'.repeat(140_000) }) },
];

export const ANSWERS: readonly Row[] = [...STATUSES, ...REDIRECTS, ...TOKENS];
