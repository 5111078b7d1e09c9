import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReference } from '../../../src/core/reference/parse.ts';

const H = '0123456789abcdef'.repeat(4);
const D = `sha256:${H}`;

/** host | repository | tag | digest */
function parts(text: string): string {
  const { host, repository, tag, digest } = parseReference(text);
  return [host, repository, tag ?? '-', digest ?? '-'].join(' | ');
}

const accepted: readonly (readonly [text: string, parts: string, name: string])[] = [
  // containerd's parser and ours agree.
  [`docker.io/library/redis@${D}`, `docker.io | library/redis | - | ${D}`, `docker.io/library/redis@${D}`],
  [
    `docker.io/library/redis:foo@${D}`,
    `docker.io | library/redis | foo | ${D}`,
    `docker.io/library/redis:foo@${D}`,
  ],
  ['docker.io/library/redis:foo', 'docker.io | library/redis | foo | -', 'docker.io/library/redis:foo'],
  [
    'localhost:5000/library/redis:obj',
    'localhost:5000 | library/redis | obj | -',
    'localhost:5000/library/redis:obj',
  ],
  ['[::1]:5000/a/b:c', '[::1]:5000 | a/b | c | -', '[::1]:5000/a/b:c'],
  ['[::1]/a/b:c', '[::1] | a/b | c | -', '[::1]/a/b:c'],
  ['127.0.0.1:15000/t/a:single', '127.0.0.1:15000 | t/a | single | -', '127.0.0.1:15000/t/a:single'],
  // Short names are Docker Hub's; ctr fails with `object required` or takes the first part for a host.
  ['alpine', 'docker.io | library/alpine | latest | -', 'docker.io/library/alpine:latest'],
  ['alpine:3.18', 'docker.io | library/alpine | 3.18 | -', 'docker.io/library/alpine:3.18'],
  ['library/alpine:3.18', 'docker.io | library/alpine | 3.18 | -', 'docker.io/library/alpine:3.18'],
  ['host/a/b:c', 'docker.io | host/a/b | c | -', 'docker.io/host/a/b:c'],
  [`alpine@${D}`, `docker.io | library/alpine | - | ${D}`, `docker.io/library/alpine@${D}`],
  // The first part has a colon, so it is a host for both.
  ['alpine:5000/x', 'alpine:5000 | x | latest | -', 'alpine:5000/x:latest'],
  // ctr does not insert library/.
  ['docker.io/alpine:latest', 'docker.io | library/alpine | latest | -', 'docker.io/library/alpine:latest'],
  // distribution/reference's vectors.
  ['ubuntu', 'docker.io | library/ubuntu | latest | -', 'docker.io/library/ubuntu:latest'],
  ['foo/bar', 'docker.io | foo/bar | latest | -', 'docker.io/foo/bar:latest'],
  ['docker.io/ubuntu', 'docker.io | library/ubuntu | latest | -', 'docker.io/library/ubuntu:latest'],
  ['index.docker.io/ubuntu:1', 'docker.io | library/ubuntu | 1 | -', 'docker.io/library/ubuntu:1'],
  ['foo.bar/baz', 'foo.bar | baz | latest | -', 'foo.bar/baz:latest'],
  ['foo:5000', 'docker.io | library/foo | 5000 | -', 'docker.io/library/foo:5000'],
  ['foo:5000/baz', 'foo:5000 | baz | latest | -', 'foo:5000/baz:latest'],
  ['localhost', 'docker.io | library/localhost | latest | -', 'docker.io/library/localhost:latest'],
  ['localhost/foo', 'localhost | foo | latest | -', 'localhost/foo:latest'],
  ['Foo/bar', 'Foo | bar | latest | -', 'Foo/bar:latest'],
  [`sha256:${H}`, `docker.io | library/sha256 | ${H} | -`, `docker.io/library/sha256:${H}`],
  ['a__b/c_d/e--f.g', 'docker.io | a__b/c_d/e--f.g | latest | -', 'docker.io/a__b/c_d/e--f.g:latest'],
  ['x.y/z:_tag', 'x.y | z | _tag | -', 'x.y/z:_tag'],
  ['[::1]:5000/foo', '[::1]:5000 | foo | latest | -', '[::1]:5000/foo:latest'],
  // distribution/reference drops the tag here; ours keeps it in the name as ctr does. The digest decides.
  [
    `ubuntu:latest@${D}`,
    `docker.io | library/ubuntu | latest | ${D}`,
    `docker.io/library/ubuntu:latest@${D}`,
  ],
  // Limits, just reached.
  [`x.y/${'a'.repeat(255)}`, `x.y | ${'a'.repeat(255)} | latest | -`, `x.y/${'a'.repeat(255)}:latest`],
  [`x.y/z:${'t'.repeat(128)}`, `x.y | z | ${'t'.repeat(128)} | -`, `x.y/z:${'t'.repeat(128)}`],
  ['x.y:65535/z:1', 'x.y:65535 | z | 1 | -', 'x.y:65535/z:1'],
];

for (const [text, expected, name] of accepted) {
  test(`the reference ${text.slice(0, 60)}`, () => {
    const reference = parseReference(text);
    assert.equal(parts(text), expected);
    assert.equal(reference.name, name);
    assert.equal(reference.raw, text);
    assert.equal(parseReference(name).name, name, 'a name is its own name');
  });
}

// Where ctr's parser takes the text, the note says what it would do with it.
const refused: readonly (readonly [text: string, message: RegExp, note?: string])[] = [
  [
    'docker.io/library/redis:foo?fooo=asdf',
    /"\?" is not allowed/,
    'ctr drops the query, but records the name with it',
  ],
  ['docker.io/library/redis:foo@sha256:abcdef', /invalid checksum digest length/, 'ctr fails later'],
  ['docker.io/library/redis@sha256:abcdef', /invalid checksum digest length/, 'ctr fails later'],
  ['docker.io/library/redis:obj@abcdef', /invalid checksum digest format/, 'ctr fails later'],
  ['::1/a:b', /"::1" is not a host/, 'ctr takes ::1 as host'],
  // Odd forms of this machine (spec/remote.md 2.3): none of them is taken for it, nor for a name that DNS might know.
  ['127.256.0.1/a:b', /"127\.256\.0\.1" is not a host: it ends in a number/, 'ctr asks DNS'],
  ['127.256.0.1:5000/a:b', /is not a host: it ends in a number/, 'ctr asks DNS'],
  ['1.2.3.4.5/a:b', /is not a host: it ends in a number/, 'ctr asks DNS'],
  ['[127:0:0:1]/a:b', /is not an IPv6 address/, 'ctr dials it, and fails'],
  ['[::1]:/a:b', /"\[::1\]:" is not a host or host:port/, 'ctr: no port'],
  ['127.0.1.1:/a:b', /is not a host or host:port/, 'ctr: no port'],
  ['/docker.io/x:y', /hostname required/],
  ['', /it is empty/],
  ['http://h/x:y', /invalid reference/],
  ['https://h.io/x:y', /invalid reference/],
  ['host:port/a:b', /not a host or host:port/],
  ['user:pw@host/a/b:c', /user name or password/, 'ctr drops the userinfo'],
  ['user@host.io/a/b:c', /user name or password/, 'ctr drops the userinfo'],
  ['host.io/a/b:c:d', /"c:d" is not a tag/, 'ctr: object c:d'],
  ['host.io/a/b:c/d', /"c\/d" is not a tag/, 'ctr: object c/d'],
  ['host.io/a:b/c@sha256:aa', /"b\/c" is not a tag/, 'ctr: object b/c@sha256:aa'],
  ['host.io/a%20b:c', /"%" is not allowed/, 'ctr decodes it'],
  ['host.io/a%2Fb:c', /"%" is not allowed/, 'ctr decodes it: another repository'],
  ['host.io/a%2fb:c', /"%" is not allowed/, 'ctr decodes it: another repository'],
  ['host.io/a/b#frag:c', /"#" is not allowed/, 'ctr drops the fragment, and with it the tag'],
  ['host.io/a/b:c#frag', /"#" is not allowed/, 'ctr drops the fragment'],
  ['host.io/a/../b:c', /"\.\." in the repository name/, 'ctr cleans the path'],
  ['host.io//a//b:c', /an empty part/, 'ctr cleans the path'],
  ['host.io/a/b/:c', /an empty part/, 'ctr cleans the path'],
  ['HOST/A/B:C', /repository name \(A\/B\) must be lowercase/, 'ctr asks the registry'],
  ['127.0.0.1:15000/T/A:single', /must be lowercase/, 'ctr asks the registry'],
  ['host.io/@x', /invalid checksum digest format/, 'ctr: no repository'],
  ['host.io/:x', /an empty part/, 'ctr: no repository'],
  ['host.io/a/b:@sha256:aa', /"" is not a tag/, 'ctr drops the colon'],
  ['127.0.0.1:15000/t//a:single', /an empty part/, 'ctr pulls it'],
  ['127.0.0.1:15000/t/../a:single', /"\.\."/, 'ctr pulls it'],
  ['127.0.0.1:15000/t/a:single?x=y', /"\?" is not allowed/, 'ctr pulls it'],
  ['127.0.0.1:15000/t/a@sha256:abc', /invalid checksum digest length/],
  ['127.0.0.1:15000/t/a:sin gle', /spaces, control or non-ASCII/, 'ctr asks for sin%20gle'],
  // distribution/reference refuses these too.
  ['foo/Bar', /repository name \(foo\/Bar\) must be lowercase/],
  ['a___b/c', /invalid reference format/],
  ['-a/b', /invalid reference format/],
  ['a/b-', /invalid reference format/],
  ['a..b/c', /not a host or host:port/],
  ['x.y//z', /invalid reference format/],
  ['x.y/', /invalid reference format/],
  ['x.y/z?a=b', /"\?" is not allowed/],
  ['x.y/z:-tag', /invalid reference format/],
  [`x.y/z@md5:${'0'.repeat(32)}`, /unsupported digest algorithm/],
  [`x.y/z@sha512:${'0'.repeat(32)}`, /invalid checksum digest length/],
  ['[fe80::1%25eth0]/foo', /"%" is not allowed/],
  [H, /it is only a digest/],
  // Hostile ones.
  ['x.y/z@sha256:../../x', /Cannot use reference/],
  [`x.y/z@sha256:${'A'.repeat(64)}`, /invalid checksum digest format/],
  ['x.y/z@', /invalid checksum digest format/],
  [`x.y/z@${D}@${D}`, /invalid checksum digest format/],
  ['x.y/..', /"\.\."/],
  ['x.y/.', /"\." in the repository name/],
  ['../x', /not a host/],
  ['x.y/a\u2024b', /non-ASCII/],
  ['x.y/a\u0000b', /control/],
  ['x.y/a\\b', /is not allowed/],
  ['x.y/a\nb', /control/],
  [' alpine', /spaces/],
  [`x.y/${'a'.repeat(256)}`, /longer than 255/],
  [`x.y/${'a/'.repeat(5000)}b`, /longer than 4096/],
  [`x.y/z:${'t'.repeat(129)}`, /is not a tag/],
  ['x.y:0/z', /invalid port/],
  ['x.y:65536/z', /invalid port/],
  ['x.y:/z', /not a host/],
  ['[::1/z', /not a host/],
  ['[::1::2]/z', /not an IPv6 address/],
  ['-x.y/z', /not a host/],
  ['x.y-/z', /not a host/],
];

for (const [text, message] of refused) {
  test(`the reference ${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    assert.throws(
      () => parseReference(text),
      (err: { kind?: string; message: string; hint?: string }) => {
        assert.equal(err.kind, 'InvalidArgument');
        assert.match(err.message, message);
        assert.ok(err.message.startsWith('Cannot use reference "'));
        assert.ok((err.hint ?? '') !== '');
        assert.ok(err.message.length < 700, 'a long text is cut');
        return true;
      },
    );
  });
}

test('no password, signed query or control character is repeated in a message', () => {
  for (const text of [
    'user:hunter2@host.io/a:b',
    'https://user:hunter2@host.io/a:b',
    'user:hun/hunter2@host.io/a:b',
    'host.io/a:b?token=hunter2',
    'host.io/a\u001b[31mhunter2@x/y',
  ]) {
    assert.throws(
      () => parseReference(text),
      (err: Error) => {
        assert.ok(!err.message.includes('hunter2'), err.message);
        assert.match(err.message, /^[\x20-\x7e]*$/);
        return true;
      },
    );
  }
});

test('the hints say what to do', () => {
  const hint = (text: string): string => {
    try {
      parseReference(text);
    } catch (err) {
      return (err as { hint: string }).hint;
    }
    return 'accepted';
  };
  for (const text of [
    'oci:/tmp/layout:tag',
    'oci:./layout',
    'docker-archive:/a.tar',
    'oci-archive:/a.tar',
    'dir:/d',
  ])
    assert.match(hint(text), /hawser import DIR/);
  assert.match(hint('http://h.io/x'), /--plain-http/);
  assert.match(hint('::1/a:b'), /\[::1\]/);
  assert.match(hint('u:p@h.io/x'), /--user/);
  assert.match(hint(H), /repository/);
});
