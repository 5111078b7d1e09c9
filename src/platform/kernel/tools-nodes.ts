/** Devices and pipes, which take several steps without FFI. */
import fs from 'node:fs';
import process from 'node:process';
import type { ByteString } from '../../core/bytes.ts';
import { type Dir, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from '../../core/ports/syscalls.ts';
import { errnoError } from './errno.ts';
import { pathOf } from './names.ts';
import { attempt, type ToolsCalls } from './tools-calls.ts';
import { runTool } from './tools-run.ts';

interface Node {
  readonly dir: Dir;
  readonly name: ByteString;
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
}

/** The tool makes the node under a name of ours, which is then linked to the wanted name: a link never replaces a file. */
export function makeNode(calls: ToolsCalls, { dir, name, mode, major, minor }: Node): void {
  const doing = (): string => `making the device or pipe ${pathOf(dir, name)}`;
  const path = calls.path(dir, name, doing);
  const type = mode & S_IFMT;
  const letter = type === S_IFCHR ? 'c' : type === S_IFBLK ? 'b' : type === S_IFIFO ? 'p' : undefined;
  if (letter === undefined) throw errnoError('ENOTSUP', doing());
  const numbers = letter === 'p' ? [] : [String(major), String(minor)];
  const temporary = `.hawser-node-${process.pid}-${process.hrtime.bigint()}`;
  const perm = `-m${(mode & 0o777).toString(8)}`;
  runTool('mknod', [perm, '--', `${calls.reach.toolPath(dir)}/${temporary}`, letter, ...numbers], doing());
  const made = calls.path(dir, temporary, doing);
  try {
    attempt(doing, () => fs.linkSync(made, path));
  } finally {
    attempt(doing, () => fs.unlinkSync(made));
  }
}
