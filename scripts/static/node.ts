/**
 * node scripts/static/node.ts OUTPUT: the Node that runs this, made static as the executable is. Runs scripts as Node does, so that
 * the unit and conformance tests run on what the executable is (scripts/test.sh). Fails without a compiler.
 */
import { join } from 'node:path';
import process from 'node:process';
import { MACHINES } from './machine.ts';
import { makeStatic } from './make-static.ts';

const [output] = process.argv.slice(2);
if (output === undefined || process.arch !== 'x64')
  throw new Error('usage: node scripts/static/node.ts OUTPUT');
makeStatic(process.execPath, output, MACHINES.x64, join(import.meta.dirname, '../../build/static-node'));
