/**
 * `DIR`: makes trees there with directories that their owner may not enter, removes them, and tells what failed, by provider.
 * `DIR TREE`: removes a tree that is there, by path, and tells the mount that stopped the removal.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { messageOf, reasonOf } from '../../src/core/errors.ts';
import { removeTree } from '../../src/core/trees/remove-tree.ts';
import { createToolsSyscalls } from '../../src/platform/kernel/tools-syscalls.ts';

const [dir = '', given] = process.argv.slice(2);
if (given === undefined) for (const byPath of [true, false]) removeClosed(byPath);
else removeGiven(given);
console.log('done');

function removeClosed(byPath: boolean): void {
  for (const mode of [0o000, 0o200, 0o400, 0o600, 0o500]) {
    const tree = join(dir, mode.toString(8));
    const closed = [join(tree, 'in', 'closed'), join(tree, 'in'), tree];
    mkdirSync(join(tree, 'in', 'closed'), { recursive: true });
    for (const one of closed) writeFileSync(join(one, 'file'), 'x');
    for (const one of closed) chmodSync(one, mode);
    try {
      removeTree(createToolsSyscalls({ utf8Only: true, byPath }), tree);
    } catch (err) {
      console.log(byPath ? 'by path' : 'by descriptor', tree, messageOf(err));
    }
  }
}

function removeGiven(tree: string): void {
  try {
    removeTree(createToolsSyscalls({ utf8Only: true, byPath: true }), join(dir, tree));
  } catch (err) {
    console.log(reasonOf(err, 'mounted')?.at ?? messageOf(err));
  }
}
