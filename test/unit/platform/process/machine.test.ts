import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amd64Variant, armVariant, goArch, goOs } from '../../../../src/platform/process/machine.ts';

test('goArch speaks Go', () => {
  const want = {
    x64: 'amd64',
    x86_64: 'amd64',
    aarch64: 'arm64',
    arm64: 'arm64',
    ia32: '386',
    s390x: 's390x',
  };
  for (const [from, to] of Object.entries(want)) assert.equal(goArch(from), to);
  assert.equal(goArch('ppc64', true), 'ppc64le');
  assert.equal(goArch('ppc64', false), 'ppc64');
  assert.equal(goArch('mipsel'), 'mipsle');
});

test('goOs speaks Go', () => {
  for (const [from, to] of [
    ['linux', 'linux'],
    ['win32', 'windows'],
    ['darwin', 'darwin'],
    ['sunos', 'solaris'],
  ] as const)
    assert.equal(goOs(from), to);
});

/** Of /proc/cpuinfo, without the features that no level asks for. */
const LEVELS: readonly (readonly [processor: string, level: string, flags: string])[] = [
  ['Opteron of 2003', '', 'fpu mmx fxsr sse sse2 syscall nx lm'],
  ['Core 2', '', 'fpu mmx fxsr sse sse2 lm pni ssse3 cx16 lahf_lm'],
  ['Nehalem', 'v2', 'mmx sse sse2 lm pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm'],
  ['Sandy Bridge', 'v2', 'lm pni ssse3 cx16 sse4_1 sse4_2 popcnt xsave avx lahf_lm'],
  [
    'Haswell',
    'v3',
    'lm pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt xsave avx f16c lahf_lm abm bmi1 avx2 bmi2',
  ],
  [
    'Haswell whose AVX is turned off',
    'v2',
    'lm pni ssse3 cx16 sse4_1 sse4_2 movbe popcnt lahf_lm abm bmi1 bmi2',
  ],
  [
    'Knights Landing',
    'v3',
    'lm pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt xsave avx f16c lahf_lm abm bmi1 avx2 bmi2 avx512f avx512cd avx512er',
  ],
  [
    'Skylake server',
    'v4',
    'lm pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt xsave avx f16c lahf_lm abm bmi1 avx2 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl',
  ],
  [
    'one with AVX-512 and without SSE 4.2',
    '',
    'lm pni ssse3 cx16 sse4_1 avx512f avx512dq avx512cd avx512bw avx512vl',
  ],
];

for (const [processor, level, flags] of LEVELS) {
  test(`amd64Variant: ${processor} is ${level === '' ? 'the base' : level}`, () => {
    const features = flags.split(' ');
    for (const list of [features, features.toReversed()]) {
      const first = `processor\t: 0\nflags\t\t: ${list.join(' ')}\nvmx flags\t: vnmi\nbugs\t\t: spectre_v1\n`;
      assert.equal(amd64Variant(first), level);
      assert.equal(amd64Variant(`${first}\nprocessor\t: 1\nflags\t\t: fp`), level, 'of the first processor');
    }
  });
}

test('amd64Variant: each feature of a level counts; what tells nothing is the base', () => {
  const all = LEVELS.find(([, level]) => level === 'v4')?.[2].split(' ') ?? [];
  for (const lacking of all.filter((feature) => feature !== 'lm')) {
    const rest = all.filter((feature) => feature !== lacking).join(' ');
    assert.notEqual(amd64Variant(`flags : ${rest}\n`), 'v4', lacking);
  }
  for (const text of ['', 'flags\n', 'flags:\n', 'Features\t: fp asimd\n', 'vmx flags\t: avx512f\n'])
    assert.equal(amd64Variant(text), '');
});

const cpuinfo = (architecture: string, model = '') =>
  `processor\t: 0\nmodel name\t: ${model}\nFeatures\t: half\nCPU implementer\t: 0x41\nCPU architecture: ${architecture}\n`;

const VARIANTS = {
  v8: ['8', 'AArch64'],
  v7: ['7', '7M', '?(12)', '?(13)', '?(14)', '?(15)', '?(16)', '?(17)'],
  v6: ['6', '6TEJ'],
  v5: ['5', '5T', '5TE', '5TEJ'],
  v4: ['4', '4T'],
  v3: ['3'],
};

test('armVariant reads /proc/cpuinfo as containerd does', () => {
  for (const [variant, texts] of Object.entries(VARIANTS)) {
    for (const text of texts) assert.equal(armVariant('arm', cpuinfo(text)), variant, text);
  }
  for (const text of ['8', 'AArch64', '7', '?']) assert.equal(armVariant('arm64', cpuinfo(text)), 'v8');
  assert.equal(armVariant('amd64', cpuinfo('8')), '');
});

test('armVariant: a Raspberry Pi of ARMv6 claims 7, its model name says otherwise', () => {
  assert.equal(armVariant('arm', cpuinfo('7', 'ARMv7 Processor rev 4 (v7l)')), 'v7');
  assert.equal(armVariant('arm', cpuinfo('7', 'ARMv6-compatible processor rev 7 (v6l)')), 'v6');
});

test('armVariant: without the line in /proc/cpuinfo (an emulator’s) uname tells', () => {
  const other = 'processor\t: 0\nCPU architecture:\nmodel name\t: 7\n';
  for (const text of ['', other, 'vendor_id\t: GenuineIntel\n']) {
    for (const n of [3, 4, 5, 6, 7, 8]) assert.equal(armVariant('arm', text, `armv${n}l`), `v${n}`);
    assert.equal(armVariant('arm', text, 'Armv8'), 'v8');
    assert.equal(armVariant('arm', text, 'aarch64'), 'v8');
  }
  assert.equal(armVariant('arm', cpuinfo('6'), 'armv7l'), 'v6', 'the processor comes first');
});

/** containerd says `unknown` there, a platform that no image is for; hostPlatform takes v7 and v8 instead. */
test('armVariant: what nothing tells is left open', () => {
  for (const [text, machine] of [
    ['', ''],
    ['', 'armv9'],
    ['', 'armv'],
    ['', 'armxxxx'],
    [cpuinfo('?(18)'), ''],
    [cpuinfo('9'), 'armv7l'],
  ] as const) {
    assert.equal(armVariant('arm', text, machine), '');
  }
});
