/** Content of files by node:fs: a part of ToolsSyscalls. */
import fs from 'node:fs';
import type { ByteString } from '../../core/bytes.ts';
import { type Dir, S_IFMT, S_IFREG } from '../../core/ports/syscalls.ts';
import { errnoError } from './errno.ts';
import { pathOf, pathOfFile } from './names.ts';
import { openNoFollow } from './no-follow.ts';
import { attempt, ToolsCalls } from './tools-calls.ts';
import { WaitingTimes } from './tools-times.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = fs.constants;

export class ToolsFiles {
  protected readonly calls: ToolsCalls;
  protected readonly times: WaitingTimes = new WaitingTimes();

  constructor(options: ConstructorParameters<typeof ToolsCalls>[0]) {
    this.calls = new ToolsCalls(options);
  }

  createFile(dir: Dir, name: ByteString, perm: number): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    return this.calls.at('creating the file', dir, name, (path) => fs.openSync(path, flags, perm));
  }

  openFile(dir: Dir, name: ByteString): number {
    // Without O_NONBLOCK a FIFO put in the file's place would hang us.
    const flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    const fd = this.calls.at('opening the file', dir, name, (path) => openNoFollow(path, flags));
    if ((fs.fstatSync(fd).mode & S_IFMT) === S_IFREG) return fd;
    fs.closeSync(fd);
    throw errnoError('EISDIR', `opening the file ${pathOf(dir, name)}, which is not a regular file`);
  }

  read(fd: number, into: Uint8Array): number {
    if (into.length === 0) return 0;
    return attempt(
      () => `reading ${pathOfFile(fd)}`,
      () => fs.readSync(fd, into, 0, into.length, null),
    );
  }

  write(fd: number, bytes: Uint8Array): void {
    this.#put(fd, bytes);
  }

  writeAt(fd: number, bytes: Uint8Array, position: number): void {
    this.#put(fd, bytes, position);
  }

  /** At the descriptor's own position when none is given. */
  #put(fd: number, bytes: Uint8Array, position?: number): void {
    this.times.settle(() => fs.fstatSync(fd, { bigint: true }));
    for (let at = 0; at < bytes.length; ) {
      const there = position === undefined ? null : position + at;
      at += attempt(
        () => `writing ${pathOfFile(fd)}`,
        () => fs.writeSync(fd, bytes, at, bytes.length - at, there),
      );
    }
  }

  truncateFile(fd: number, size: number): void {
    this.times.settle(() => fs.fstatSync(fd, { bigint: true }));
    attempt(
      () => `setting the size of ${pathOfFile(fd)}`,
      () => fs.ftruncateSync(fd, size),
    );
  }

  closeFile(fd: number): void {
    attempt(
      () => `closing ${pathOfFile(fd)}`,
      () => fs.closeSync(fd),
    );
  }
}
