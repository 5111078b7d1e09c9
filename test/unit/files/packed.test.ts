/** Trees in memory, packed: the same as plain ones after any calls, and with an end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, messageOf } from '../../../src/core/errors.ts';
import { S_IFLNK, S_IFREG } from '../../../src/core/ports/syscalls.ts';
import { ModelNode } from '../../../src/core/trees/model-node.ts';
import { PackedNodes } from '../../../src/core/trees/packed-nodes.ts';
import { chosenSeed } from '../../support/seed.ts';
import { random } from '../archive/random.ts';

const DIR = 0o040755;

test('packed names: random calls over few directories and many names do as a Map does', (t) => {
  const seed = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${seed}`);
  const next = random(seed);
  const nodes = new PackedNodes(1 << 30);
  const dirs = Array.from({ length: 5 }, (_, i) => ({
    packed: nodes.make(i + 1, DIR),
    plain: new ModelNode(i + 1, DIR),
  }));
  let ino = 10;
  for (let step = 0; step < 20_000; step++) {
    const { packed, plain } = dirs[next(dirs.length)] ?? assert.fail();
    const name = ['', 'x'.repeat(200), '\xff\0'][next(3)] + String(next(1500));
    const known = plain.children?.get(name);
    assert.equal(packed.children?.get(name)?.ino, known?.ino);
    if (next(3) === 0) assert.equal(packed.children?.delete(name), plain.children?.delete(name));
    else {
      ino++;
      packed.children?.set(name, nodes.make(ino, S_IFREG | 0o644));
      plain.children?.set(name, new ModelNode(ino, S_IFREG | 0o644));
    }
  }
  for (const { packed, plain } of dirs) {
    const list = (node: ModelNode) =>
      [...(node.children ?? [])].map(([name, { ino: of }]) => `${name} ${of}`).sort();
    assert.deepEqual(list(packed), list(plain));
    assert.equal(packed.children?.size, plain.children?.size);
  }
});

test('packed nodes: names, targets and attributes have an end together', () => {
  const fill = (make: (nodes: PackedNodes, ino: number) => void): string => {
    const nodes = new PackedNodes(1 << 20);
    try {
      for (let ino = 1; ino < 100_000; ino++) make(nodes, ino);
    } catch (err) {
      return `${kindOf(err)}: ${messageOf(err)}`;
    }
    return 'no end';
  };
  const root = (nodes: PackedNodes): ModelNode => nodes.make(200_000, DIR);
  for (const make of [
    (nodes: PackedNodes, ino: number) => void nodes.make(ino, S_IFREG),
    (nodes: PackedNodes, ino: number) => void nodes.make(ino, S_IFLNK, { target: 't'.repeat(4000) }),
    (nodes: PackedNodes, ino: number) => void nodes.make(ino, DIR),
    (nodes: PackedNodes, ino: number) =>
      root(nodes).children?.set(`${'n'.repeat(200)}${ino}`, nodes.make(ino, S_IFREG)),
    (nodes: PackedNodes, ino: number) => {
      const node = nodes.make(ino, S_IFREG);
      node.xattrs = new Map();
      node.xattrs?.set('user.a', new Uint8Array(5000));
    },
  ])
    assert.match(fill(make), /^ResourceExhausted: the image has too many files to list/);
});
