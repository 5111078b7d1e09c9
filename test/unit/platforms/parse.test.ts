import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Platform } from '../../../src/core/oci/descriptor.ts';
import { formatPlatform, isSamePlatform, platformText } from '../../../src/core/platforms/format.ts';
import { containerdPlatform, defaultPlatform, hostPlatform } from '../../../src/core/platforms/host.ts';
import { normalizePlatform } from '../../../src/core/platforms/normalize.ts';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const armv6: Platform = { os: 'linux', architecture: 'arm', variant: 'v6' };

// [text, as parsed, normalised], written by platformText.
const vectors: readonly (readonly [string, string, string])[] = [
  ['linux', 'linux/amd64', 'linux/amd64'],
  ['windows', 'windows/amd64', 'windows/amd64'],
  ['macos', 'darwin/amd64', 'darwin/amd64'],
  ['amd64', 'linux/amd64', 'linux/amd64'],
  ['AMD64', 'linux/amd64', 'linux/amd64'],
  ['armhf', 'linux/arm', 'linux/arm/v7'],
  ['armel', 'linux/arm/v6', 'linux/arm/v6'],
  ['aarch64', 'linux/arm64', 'linux/arm64'],
  ['x86_64', 'linux/amd64', 'linux/amd64'],
  ['i386', 'linux/386', 'linux/386'],
  ['linux/arm', 'linux/arm', 'linux/arm/v7'],
  ['linux/arm/7', 'linux/arm/v7', 'linux/arm/v7'],
  ['linux/arm/5', 'linux/arm/v5', 'linux/arm/v5'],
  ['linux/arm/6', 'linux/arm/v6', 'linux/arm/v6'],
  ['linux/arm/8', 'linux/arm/v8', 'linux/arm/v8'],
  ['linux/arm/v7', 'linux/arm/v7', 'linux/arm/v7'],
  ['linux/armhf', 'linux/arm', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6', 'linux/arm/v6'],
  ['linux/i386/v2', 'linux/386', 'linux/386'],
  ['linux/arm64/8', 'linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/9', 'linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/arm64/v9.0', 'linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/x86_64/v1', 'linux/amd64', 'linux/amd64'],
  ['x86-64', 'linux/amd64', 'linux/amd64'],
  ['foo/bar', 'foo/bar', 'foo/bar'],
  ['linux/arm64/v8.0', 'linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64', 'linux/arm64', 'linux/arm64'],
  ['linux/arm64/v9', 'linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/arm64/9.0', 'linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/x86-64/V3', 'linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/amd64/v1', 'linux/amd64', 'linux/amd64'],
  ['foo/bar/baz', 'foo/bar/baz', 'foo/bar/baz'],
  ['Linux/S390X', 'linux/s390x', 'linux/s390x'],
  [
    'windows(10.0.17763+win32k)/amd64',
    'windows(10.0.17763+win32k)/amd64',
    'windows(10.0.17763+win32k)/amd64',
  ],
  ['linux(+z+erofs)/amd64', 'linux(+erofs+z)/amd64', 'linux(+erofs+z)/amd64'],
  ['linux(+z+erofs+z)/amd64', 'linux(+erofs+z)/amd64', 'linux(+erofs+z)/amd64'],
];

for (const [text, parsed, normalised] of vectors) {
  test(`the platform ${text} is ${parsed}`, () => {
    const platform = parsePlatform(text, amd64);
    assert.equal(platformText(platform), parsed);
    assert.equal(platformText(normalizePlatform(platform)), normalised);
    assert.deepEqual(parsePlatform(platformText(platform), amd64), platform, 'platformText is read back');
  });
}

test('an escaped OS version', () => {
  const platform = parsePlatform('linux(a%2Bb)/amd64', amd64);
  assert.deepEqual(platform, { os: 'linux', architecture: 'amd64', osVersion: 'a+b' });
  assert.equal(platformText(platform), 'linux(a%2Bb)/amd64');
});

const KNOWN_OS =
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos';
const KNOWN_ARCH =
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm';

test('a lone part is an OS, or an architecture, that is known', () => {
  for (const os of KNOWN_OS.split(' ')) assert.equal(platformText(parsePlatform(os, amd64)), `${os}/amd64`);
  for (const arch of KNOWN_ARCH.split(' '))
    assert.equal(platformText(parsePlatform(arch, amd64)), `linux/${arch}`);
});

test('format leaves out version and features', () => {
  assert.equal(formatPlatform(parsePlatform('windows(10.0.17763+win32k)/amd64', amd64)), 'windows/amd64');
  assert.equal(formatPlatform({ os: '', architecture: 'amd64' }), 'unknown');
  assert.equal(platformText({ os: '', architecture: 'amd64' }), 'unknown');
});

test('a lone OS takes the architecture of the host, an arm host its variant unless v7', () => {
  assert.deepEqual(parsePlatform('linux', armv6), armv6);
  assert.deepEqual(parsePlatform('linux', { ...armv6, variant: 'v7' }), { os: 'linux', architecture: 'arm' });
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
  assert.deepEqual(parsePlatform('linux', arm64), { os: 'linux', architecture: 'arm64' });
});

const bad: readonly (readonly [string, RegExp])[] = [
  ['foo', /"foo": unknown operating system or architecture/],
  ['a/b/c/d', /cannot parse platform specifier/],
  ['linux/', /invalid component/],
  ['/amd64', /invalid OS component/],
  ['', /invalid OS component/],
  ['linux/amd64/', /invalid component/],
  ['linux/*', /wildcards/],
  ['*', /wildcards/],
  ['linux(/amd64', /invalid OS component/],
  ['linux(%zz)/amd64', /bad escape/],
  ['linux/am d64', /invalid component/],
  [`linux/${'a'.repeat(5000)}`, /too long/],
];

for (const [text, message] of bad) {
  test(`the platform ${JSON.stringify(text.slice(0, 30))} is refused`, () => {
    assert.throws(
      () => parsePlatform(text, amd64),
      (err: { kind?: string; message: string; hint?: string }) => {
        assert.equal(err.kind, 'InvalidArgument');
        assert.match(err.message, message);
        assert.match(err.hint ?? '', /os\/arch/);
        return true;
      },
    );
  });
}

test('an image without an OS is a Linux image', () => {
  assert.equal(platformText(normalizePlatform({ os: '', architecture: 'x86_64' })), 'linux/amd64');
});

test('the host', () => {
  assert.deepEqual(hostPlatform({ os: 'linux', arch: 'amd64', variant: '' }), amd64);
  const level3 = hostPlatform({ os: 'linux', arch: 'amd64', variant: 'v3' });
  assert.deepEqual(level3, { ...amd64, variant: 'v3' });
  assert.deepEqual(containerdPlatform(level3), amd64);
  assert.deepEqual(containerdPlatform(armv6), armv6);
  assert.deepEqual(defaultPlatform({}, { os: 'linux', arch: 'amd64', variant: 'v3' }), level3);
  const inContainerd = { platform: containerdPlatform };
  assert.deepEqual(defaultPlatform(inContainerd, { os: 'linux', arch: 'amd64', variant: 'v3' }), amd64);
  assert.equal(formatPlatform(hostPlatform({ os: 'linux', arch: 'arm64', variant: 'v8' })), 'linux/arm64/v8');
  assert.equal(formatPlatform(hostPlatform({ os: 'linux', arch: 'arm64', variant: '' })), 'linux/arm64/v8');
  assert.equal(formatPlatform(hostPlatform({ os: 'linux', arch: 'arm', variant: 'v6' })), 'linux/arm/v6');
  assert.equal(formatPlatform(hostPlatform({ os: 'linux', arch: 'arm', variant: '' })), 'linux/arm/v7');
  // containerd adds the version of the Windows it runs on; where this runs there is none, and any version will do.
  const windows = hostPlatform({ os: 'windows', arch: 'amd64', variant: '' });
  assert.deepEqual(windows, { os: 'windows', architecture: 'amd64' });
  assert.equal(formatPlatform(hostPlatform({ os: 'darwin', arch: 'arm64', variant: '' })), 'linux/arm64/v8');
});

test('the platform of a machine is what a lock calls it: in any spelling, and no other', () => {
  const machines = ['amd64', 'arm64', 'arm', 's390x'].map((arch) => ({ os: 'linux', arch, variant: '' }));
  const spellings = ['linux/x86_64', 'linux/amd64/v1', 'linux/aarch64', 'linux/arm64/v8', 'linux/armhf'];
  const others = ['linux/amd64/v3', 'linux/arm64/v9', 'linux/arm/v6', 'windows/amd64'];
  const texts = [...machines.map(({ os, arch }) => `${os}/${arch}`), ...spellings, ...others];
  const same = machines.map((host) => {
    const machine = containerdPlatform(hostPlatform(host));
    return texts.filter((text) => isSamePlatform(parsePlatform(text, amd64), machine));
  });
  assert.deepEqual(same, [
    ['linux/amd64', 'linux/x86_64', 'linux/amd64/v1'],
    ['linux/arm64', 'linux/aarch64', 'linux/arm64/v8'],
    ['linux/arm', 'linux/armhf'],
    ['linux/s390x'],
  ]);
});
