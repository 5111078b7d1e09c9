/** hosts.toml: spec/remote.md 2.2's vectors, and what containerd takes silently and we do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { kindOf } from '../../../src/core/errors.ts';
import { lineOf } from '../../../src/core/registry/hosts-dir/line-of.ts';
import { type HostEntry, parseHostsToml } from '../../../src/core/registry/hosts-dir/toml.ts';

const parse = (text: string): readonly HostEntry[] => parseHostsToml(text, 'F').entries;
/** Without the entry of the top level. */
const hosts = (text: string): readonly HostEntry[] => parse(text).slice(0, -1);

const SERVERS: readonly (readonly [string, string | undefined])[] = [
  ['server = "reg.io"', 'https://reg.io/v2'],
  ['server = "https://reg.io/v2/"', 'https://reg.io/v2'],
  ['server = "http://reg.io:5000/"', 'http://reg.io:5000/v2'],
  // containerd: a path, because it begins with "http".
  ['server = "httpbin.org"', 'https://httpbin.org/v2'],
  ['server = "https://reg.io/foo/"', 'https://reg.io/foo/v2'],
  ['server = "https://reg.io/foo/v2/bar"', 'https://reg.io/foo/v2/bar/v2'],
  ['server = "https://reg.io//foo//v2"', 'https://reg.io/foo/v2'],
  ['server = "https://reg.io/foo"\noverride_path = true', 'https://reg.io/foo'],
  ['server = "https://reg.io"\noverride_path = true', 'https://reg.io/'],
  ['# a comment', undefined],
];
for (const [text, base] of SERVERS) {
  test(`hosts.toml server: ${JSON.stringify(text)}`, () => {
    const entries = parse(text);
    assert.equal(entries.length, 1);
    assert.equal(entries[0]?.base?.href, base);
    assert.equal(entries[0]?.capabilities, undefined);
  });
}

const HOSTS: readonly (readonly [string, readonly string[]])[] = [
  ['[host."m1"]', ['https://m1/v2']],
  [`[host.'https://m1']`, ['https://m1/v2']],
  ['[host.m1]', ['https://m1/v2']],
  ['[host."https://u:p@m1/x?y=z"]', ['https://m1/x/v2']],
  ['[host."https://m2"]\n[host."https://m1"]', ['https://m2/v2', 'https://m1/v2']],
  // containerd drops the host of these four, and asks m1 twice in the fifth.
  ['host."https://m1".capabilities = ["pull"]', ['https://m1/v2']],
  ['host = { "https://m1" = { capabilities = ["pull"] } }', ['https://m1/v2']],
  ['[host]\n"https://m1" = { skip_verify = true }', ['https://m1/v2']],
  ['[host."https://onlyheader".header]\na = "b"', ['https://onlyheader/v2']],
  [
    '[host."https://m1"]\n[host."https://m2"]\n[host."https://m1".header]\na = "b"',
    ['https://m1/v2', 'https://m2/v2'],
  ],
];
for (const [text, bases] of HOSTS) {
  test(`hosts.toml hosts: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(
      hosts(text).map(({ base }) => base?.href),
      bases,
    );
  });
}

test('hosts.toml: capabilities in any case; none named is all', () => {
  const [first, second] = hosts('[host.a]\ncapabilities = ["PULL", "Resolve"]\n[host.b]\ncapabilities = []');
  assert.deepEqual(first?.capabilities, ['pull', 'resolve']);
  assert.equal(second?.capabilities, undefined);
  assert.deepEqual(parse('capabilities = ["push", "referrers"]')[0]?.capabilities, ['push', 'referrers']);
});

test('hosts.toml: every key', () => {
  const [host] = hosts(`
[host."https://m1"]
  ca = "one.pem"
  client = [["a.cert", "a.key"], ["both.pem", ""]]
  skip_verify = false
  dial_timeout = "1500ms"
  [host."https://m1".header]
    X-One = "1"
    x-list = ["a", "b"]
`);
  assert.deepEqual(host?.ca, ['one.pem']);
  assert.deepEqual(host?.client, [
    { cert: 'a.cert', key: 'a.key' },
    // containerd takes the directory for the key's file.
    { cert: 'both.pem', key: 'both.pem' },
  ]);
  assert.equal(host?.skipVerify, false);
  assert.equal(host?.dialTimeout, 1500);
  assert.deepEqual(host?.headers, { 'x-one': '1', 'x-list': 'a, b' });
});

test('hosts.toml: a client as one file, files, and pairs', () => {
  const client = (value: string) => parse(`client = ${value}`)[0]?.client;
  const both = (name: string) => ({ cert: name, key: name });
  assert.deepEqual(client('"a"'), [both('a')]);
  assert.deepEqual(client('["a", "b"]'), [both('a'), both('b')]);
  assert.deepEqual(client('[["a", "k"]]'), [{ cert: 'a', key: 'k' }]);
});

const BROKEN: readonly (readonly [string, string])[] = [
  ['capabilities = ["fetch"]', 'F:1: capabilities: unknown capability "fetch"'],
  ['capabilities = "pull"', 'F:1: capabilities: must be an array of strings'],
  ['ca = 5', 'F:1: ca: must be a string or an array of strings'],
  ['# x\n\nclient = [["a"]]', 'F:3: client: a pair is'],
  ['client = [["", "k"]]', 'F:1: client: a pair is'],
  ['client = ""', 'F:1: client: an empty path'],
  ['reach = "public"', 'F:1: reach: must be "private" or "loopback"'],
  ['reach = true', 'F:1: reach: must be a string'],
  ['dial_timeout = "5"', 'F:1: dial_timeout: missing unit in duration'],
  ['dial_timeout = 5', 'F:1: dial_timeout: must be a string'],
  ['dial_timeout = "-5s"', 'F:1: dial_timeout: negative duration'],
  ['skip_verify = "yes"', 'F:1: skip_verify: must be true or false'],
  ['override_path = 1', 'F:1: override_path: must be true or false'],
  ['server = 5', 'F:1: server: must be a string'],
  ['server = "ftp://m1"', 'F:1: server: a host is http:// or https://'],
  ['server = "https://"', 'F:1: server: not a URL'],
  ['[host.m2]\n[host."ftp://m1"]', 'F:2: host."ftp://m1": a host is http:// or https://'],
  ['[host.m1]\nheader = 1', 'F:2: host.m1.header: must be a table'],
  ['[host.m1.header]\nA = 1', 'F:2: host.m1.header.A: must be a string or an array'],
  ['[host.m1.header]\n"a b" = "x"', 'F:2: host.m1.header."a b": not the name of a header'],
  ['[host.m1.header]\nA = "x\\r\\nB: y"', 'F:2: host.m1.header.A: a header cannot hold'],
  ['[host.m1.header]\nContent-Length = "1"', 'F:2: host.m1.header.Content-Length: this header is not'],
  ['[host.reg.example.com]', 'F:1: host.reg.example: unknown table; write URLs of hosts in quotes'],
  ['[[host]]', 'F:1: host: must be a table'],
  ['host = "m1"', 'F:1: host: must be a table'],
  ['[host.m1]\n[host.m1]', 'F:2:'],
  ['server = "a"\nserver = "b"', 'F:2:'],
  ['server = "reg.io', 'F:1:'],
  ['a = 1\n[host."https://m1"\n', 'F:2:'],
];
for (const [text, message] of BROKEN) {
  test(`hosts.toml, broken: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parse(text),
      (err: Error) => {
        assert.equal(kindOf(err), 'InvalidArgument');
        assert.ok(err.message.startsWith(message), err.message);
        return true;
      },
    );
  });
}

test('hosts.toml: too many hosts are refused', () => {
  const text = Array.from({ length: 65 }, (_, at) => `[host.m${at}]`).join('\n');
  assert.throws(() => parse(text), /F:1: host: more than 64 hosts/);
});

test('hosts.toml: what has no effect is told', () => {
  const { warnings } = parseHostsToml('capabilites = ["pull"]\n[host."https://u:p@m1?x=y"]\nfoo = 1', 'F');
  assert.deepEqual(warnings, [
    'F:3: host."https://u:p@m1?x=y".foo: unknown key, not used',
    'F:2: host."https://u:p@m1?x=y": user and password are not used',
    'F:2: host."https://u:p@m1?x=y": the query is not used',
    'F:1: capabilites: unknown key, not used',
  ]);
});

test('the line of a key in a long file, also after a long array, is found by few parses', () => {
  const long = Array.from({ length: 500 }, (_, at) => `key${at} = ${at}`);
  const array = ['list = [', ...Array.from({ length: 30 }, () => '  "x",'), ']'];
  const text = [...long, ...array, 'last = 1'].join('\n');
  for (const [key, line] of [
    ['key0', 1],
    ['key234', 235],
    ['list', 501],
    ['last', 533],
    ['absent', 1],
  ] as const) {
    let parses = 0;
    const counted = (part: string): unknown => {
      parses++;
      return parseToml(part);
    };
    assert.equal(lineOf(text, [key], counted), line, key);
    assert.ok(parses < 100, `${key}: ${parses} parses`);
  }
});

test('the line of a key: arrays over several lines, comments, tables', () => {
  const text = '# one\n\nca = [\n "a",\n "b",\n]\n\n[host."https://m1"]\n# two\nskip_verify = true\n';
  assert.equal(lineOf(text, ['ca']), 3);
  assert.equal(lineOf(text, ['host', 'https://m1']), 8);
  assert.equal(lineOf(text, ['host', 'https://m1', 'skip_verify']), 10);
});
