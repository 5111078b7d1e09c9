/** What registries and users write: references, challenges, content ranges, hosts.toml. */
import type { Kind } from '../../src/core/errors.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { parseChallenges } from '../../src/core/registry/auth/challenge.ts';
import { parseContentRange } from '../../src/core/registry/content-range.ts';
import { parseHostsToml } from '../../src/core/registry/hosts-dir/toml.ts';
import { many, type Next, ODD_NUMBERS, pick, rarely } from './random.ts';
import { type AnyTarget, Finding, outcome, same, textTarget } from './target.ts';

const ERRORS: readonly Kind[] = ['InvalidArgument'];
const SECRET = 'sEcReT0';

/** Pieces of a grammar in a row, single characters now and then, once in a while one of them very often. */
function pieces(next: Next, grammar: readonly string[], odd: string): string {
  if (rarely(next, 40)) return pick(next, grammar).repeat(next(5000)) + pick(next, grammar);
  const one = (): string => (rarely(next, 8) ? pick(next, [...odd]) : pick(next, grammar));
  return many(next, 14, one).join('');
}

const REFERENCE = [
  'docker.io',
  'index.docker.io',
  'localhost',
  'host.example',
  '[::1]',
  '127.0.0.1',
  ':5000',
  '/',
  '/',
  'library',
  'alpine',
  'a',
  '.',
  '_',
  '__',
  '-',
  ':',
  'latest',
  'v1.0',
  '@',
  '@sha256:',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'a'.repeat(128),
  'https://',
  `user:${SECRET}@`,
];

function reference(text: string): void {
  const read = outcome(ERRORS, () => parseReference(text));
  if ('error' in read) {
    // A password stands before the last @ that a path follows.
    const password = text.includes(`:${SECRET}@`) && text.includes('/', text.lastIndexOf('@'));
    if (password && read.error.includes(SECRET))
      throw new Finding(`a password in the message: ${read.error}`);
    return;
  }
  const { name, host, repository, tag, digest } = read.value;
  const again = parseReference(name);
  same('the name read again', [again.name, again.host, again.repository], [name, host, repository]);
  if (digest !== undefined) parseDigest(digest);
  if (
    !/^[\x21-\x7e]+$/.test(name) ||
    `/${repository}/`.includes('/../') ||
    repository.length > 255 ||
    (tag?.length ?? 0) > 128
  )
    throw new Finding(`taken as ${JSON.stringify(read.value)}`);
}

const CHALLENGE = [
  'Bearer ',
  'Basic ',
  'Negotiate',
  'realm=',
  'service=',
  'scope=',
  '"https://auth.example/token"',
  '"a,b=c"',
  '"\\""',
  '"',
  '\\',
  ',',
  ', ',
  ' = ',
  'abc==',
  'x',
  'error="invalid_token"',
];

/** Well-formed ones (RFC 9110 11.6.1) are read as they were meant. */
function meant(next: Next): string {
  const params = Array.from(
    { length: 1 + next(4) },
    (_, i) => [`p${i}`, pieces(next, ['a', 'é', '"', '\\', ', B x="', ' ', '='], ',')] as const,
  );
  const quoted = params.map(([key, value]) => `${key}="${value.replace(/["\\]/g, '\\$&')}"`);
  return `Bearer ${quoted.join(pick(next, [',', ', ', ' , ']))}\n${JSON.stringify(params)}`;
}

function challenge(text: string): void {
  const [field = '', wanted] = text.split('\n');
  const read = parseChallenges(field);
  if (read.length > 32) throw new Finding(`${read.length} challenges`);
  for (const { scheme, params } of read) {
    if (scheme !== scheme.toLowerCase() || scheme === '')
      throw new Finding(`the scheme ${JSON.stringify(scheme)}`);
    for (const [key, value] of params) {
      if (key === '' || value.length > field.length) throw new Finding(`the parameter ${key}=${value}`);
    }
  }
  if (wanted === undefined) return;
  let params: unknown;
  try {
    params = JSON.parse(wanted);
  } catch {
    return;
  }
  same(
    'the parameters',
    read.map((one) => [one.scheme, [...one.params]]),
    [['bearer', params]],
  );
}

const HOSTS_TOML = [
  'server = ',
  '"https://reg.example/v2"',
  "'m1'",
  '[host."https://m1"]\n',
  '[host."http://u:p@m2:5000/x?y=z".header]\n',
  '[[host]]\n',
  'capabilities = ["pull", "resolve"]\n',
  'capabilities = []\n',
  'ca = "/ca.pem"\n',
  'client = [["/a.pem", "/a.key"], ["b"]]\n',
  'skip_verify = true\n',
  'override_path = ',
  'dial_timeout = "5s"\n',
  'dial_timeout = "99999999999999h"\n',
  'x-h = ["a", "b"]\n',
  '__proto__ = 1\n',
  '["__proto__"]\n',
  'constructor.prototype = {}\n',
  'a.b.c = 1979-05-27T07:32:00Z\n',
  '"""\n',
  '{ a = [ ',
  ']',
  '}',
  'true\n',
  '0x1f\n',
  'nan\n',
  '# comment\n',
  '\n',
];

function hostsToml(text: string): void {
  const read = outcome(ERRORS, () => parseHostsToml(text, 'hosts.toml'));
  if ('error' in read) {
    if (!/hosts\.toml:[0-9]+/.test(read.error))
      throw new Finding(`an error that does not say where: ${read.error}`);
    return;
  }
  for (const { base, headers, dialTimeout } of read.value.entries) {
    if (base !== undefined && !/^https?:$/.test(base.protocol)) throw new Finding(`the host ${base.href}`);
    if (base !== undefined && (base.username !== '' || base.search !== ''))
      throw new Finding(`the host ${base.href}`);
    for (const [name, value] of Object.entries(headers)) new Headers().set(name, value);
    if (dialTimeout !== undefined && !(dialTimeout > 0)) throw new Finding(`the timeout ${dialTimeout}`);
  }
  for (const warning of read.value.warnings) {
    if (warning.length > 1000 || /[\u0000-\u001f\u007f-\u009f]/.test(warning))
      throw new Finding(JSON.stringify(warning));
  }
}

function contentRange(text: string): void {
  const read = parseContentRange(text);
  if (read === undefined) return;
  for (const value of Object.values(read) as unknown[]) {
    if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 0))
      throw new Finding(`read as ${JSON.stringify(read)}`);
  }
}

export const textTargets: readonly AnyTarget[] = [
  textTarget({
    name: 'reference',
    generate: (next) => pieces(next, REFERENCE, '?#%\\ \u0000\u00e9A:@'),
    execute: reference,
  }),
  textTarget({
    name: 'challenge',
    generate: (next) => (rarely(next, 3) ? meant(next) : pieces(next, CHALLENGE, '"\\,= \t\u0000\u00e9')),
    execute: challenge,
  }),
  textTarget({
    name: 'hosts-toml',
    generate: (next) => pieces(next, HOSTS_TOML, '"\\\'=.[]{}, \n\u0000\u00e9'),
    execute: hostsToml,
  }),
  textTarget({
    name: 'content-range',
    generate: (next) => pieces(next, ['bytes ', 'bytes', '-', '/', '*', ' ', ...ODD_NUMBERS], '\t=,'),
    execute: contentRange,
  }),
];
