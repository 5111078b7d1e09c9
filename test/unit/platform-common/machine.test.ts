import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armVariant, goArch, goOs } from '../../../src/platform/common/machine.ts';

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

const cpuinfo = (architecture: string, model = '') =>
  `processor\t: 0\nmodel name\t: ${model}\nFeatures\t: half\nCPU implementer\t: 0x41\nCPU architecture: ${architecture}\n`;

test('armVariant reads /proc/cpuinfo as containerd does', () => {
  assert.equal(armVariant('arm64', cpuinfo('8')), 'v8');
  assert.equal(armVariant('arm64', cpuinfo('AArch64')), 'v8');
  assert.equal(armVariant('arm', cpuinfo('8')), 'v8');
  assert.equal(armVariant('arm', cpuinfo('7', 'ARMv7 Processor rev 4 (v7l)')), 'v7');
  assert.equal(armVariant('arm', cpuinfo('7', 'ARMv6-compatible processor rev 7 (v6l)')), 'v6');
  assert.equal(armVariant('arm', cpuinfo('6')), 'v6');
  assert.equal(armVariant('arm', cpuinfo('6TEJ')), 'v6');
  for (const five of ['5', '5T', '5TE', '5TEJ']) assert.equal(armVariant('arm', cpuinfo(five)), 'v5');
  assert.equal(armVariant('arm', ''), '');
  assert.equal(armVariant('arm64', ''), 'v8');
  assert.equal(armVariant('amd64', cpuinfo('8')), '');
});
