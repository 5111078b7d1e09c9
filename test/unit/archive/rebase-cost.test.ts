/** What a rebase asks of the layers below: each of them once a pull, however many layers come after. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KnownLayers } from '../../../src/core/archive/known-layers.ts';
import type { LayerRecord, NodeRecord } from '../../../src/core/archive/layer-record.ts';
import { rebaseLayer } from '../../../src/core/layers/rebase-layer.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { hasFfi } from '../../support/ffi.ts';
import { intercept } from '../../support/intercept.ts';
import { dir, file, layer, opq, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';
import { syscallsHere, tryBlind } from './ways.ts';

const LAYERS = 127;
const SKIP = hasFfi() ? needs({ root: true }) : 'needs FFI: tools are slow';

/** Of each layer, how many calls its rebase made; layer 0 is at the bottom. */
function costs(tars: readonly Uint8Array[], path: string): number[] {
  const memory = new KnownLayers();
  const lowers: string[] = [];
  return tars.map((tar, i) => {
    const root = join(path, String(i));
    mkdirSync(root);
    const blind = tryBlind(syscallsHere(), root, tar);
    assert.ok(blind);
    let calls = 0;
    const sys: Syscalls = intercept(syscallsHere(), (call) => {
      if (call !== 'closeDir' && call !== 'flush') calls++;
    });
    const { record } = blind;
    assert.equal(rebaseLayer(sys, { root, lowers, mode: 'overlay', record }, {}, memory), undefined);
    lowers.unshift(root);
    return calls;
  });
}

const STACKS: Readonly<Record<string, (i: number) => Uint8Array>> = {
  'one file each in a directory that nobody lists': (i) => layer(file(`a/b/f${i}`)),
  'one file each in a directory of its own': (i) => layer(file(`a/d${i}/f`)),
  'a whiteout each of what the layer before made': (i) => layer(file(`a/f${i}`), wh(`a/f${i - 1}`)),
  'a whiteout each of what never was': (i) => layer(dir('a'), wh(`a/n${i}`)),
  'an opaque root each': (i) => layer(opq(''), file(`f${i % 3}`)),
  'an opaque mark each': (i) => layer(dir('a'), opq(`a`), file(`a/f${i}`)),
};

const within = (work: (path: string) => void) => (): void => {
  const tmp = tempDir();
  try {
    work(tmp.path);
  } finally {
    tmp[Symbol.dispose]();
  }
};

for (const [name, make] of Object.entries(STACKS)) {
  const body = within((path) => {
    const calls = costs(
      Array.from({ length: LAYERS }, (_, i) => make(i)),
      path,
    );
    const [early, late] = [calls.slice(10, 30), calls.slice(-20)].map((some) => Math.max(...some));
    assert.ok((late ?? 0) <= (early ?? 0), `${early} calls a layer at first, ${late} in the end`);
    assert.ok((late ?? 0) < 60, `${late} calls a layer`);
  });
  test(`each rebase costs the same: ${name}`, { skip: SKIP }, body);
}

const NODE: NodeRecord = { name: '', parent: 0, made: { by: 'implicit' }, opaque: false, cuts: [] };

const large = within((path) => {
  const [root, below] = [join(path, 'root'), join(path, 'below')];
  for (const made of [root, below]) mkdirSync(made);
  for (let i = 0; i < 4000; i++) writeFileSync(join(below, `${'x'.repeat(20)}${i}`), '');
  const asked: string[] = [];
  const sys = intercept(syscallsHere(), (call) => asked.push(call));
  const record: LayerRecord = { nodes: [{ ...NODE, cuts: ['a', 'b', 'c'] }], guesses: [] };
  rebaseLayer(sys, { root, lowers: [below], mode: 'overlay', record });
  assert.ok(!asked.includes('list'));
  assert.equal(asked.filter((call) => call === 'lstat').length, 3);
});
test('a large directory below is not listed', { skip: SKIP }, large);

test('what is kept is bounded: much is asked again', () => {
  const memory = new KnownLayers();
  let asked = 0;
  const sys = {
    lstat: () => void asked++,
    fstat: () => ({ size: 1 << 20 }),
  } as unknown as Syscalls;
  const ask = (name: string) => memory.kind(sys, '/layer', '', name, () => ({ fd: 0 }));
  for (const name of ['a', 'a']) ask(name);
  assert.equal(asked, 1);
  for (let i = 0; i < 200_000; i++) ask(`n${i}`);
  const before = asked;
  ask('a');
  assert.equal(asked, before + 1);
});
