/** Calls that take several steps without FFI: opening a root, making devices and pipes. */
import fs from 'node:fs';
import process from 'node:process';
import type { ByteString } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import { type Dir, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from '../../core/ports/syscalls.ts';
import { errnoError } from './errno.ts';
import { checkRoot, type NamedDir, pathOf } from './names.ts';
import { attempt, type ToolsCalls } from './tools-calls.ts';
import { handle, runTool } from './tools-run.ts';

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

/** FailedPrecondition where `/proc/self/fd` does not lead to what is open, for all else depends on it. */
export function openRoot(calls: ToolsCalls, path: string): Dir {
  const root = checkRoot(path);
  const doing = (): string => `opening the directory ${JSON.stringify(path)}`;
  const fd = attempt(doing, () => fs.openSync(calls.text(root, doing), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const dir: NamedDir = { fd, path: root };
  try {
    // Some runtimes number descriptors in their own way, and a sandbox may hide /proc.
    const there = fs.statSync(`/proc/self/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
    if (there?.ino === fs.fstatSync(fd, { bigint: true }).ino) return dir;
    throw new Error("the runtime's descriptors are not the kernel's");
  } catch (cause) {
    fs.closeSync(fd);
    const why = 'without FFI, /proc/self/fd must lead to open files, and here it does not';
    throw new HawserError('FailedPrecondition', `${doing()}: ${why}`, {
      cause,
      hint: 'Use FFI (Node 26.1 or newer; Deno with --allow-ffi)',
    });
  }
}

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
  runTool('mknod', [perm, '--', `${handle(dir.fd)}/${temporary}`, letter, ...numbers], doing());
  const made = calls.path(dir, temporary, doing);
  try {
    attempt(doing, () => fs.linkSync(made, path));
  } finally {
    attempt(doing, () => fs.unlinkSync(made));
  }
}
