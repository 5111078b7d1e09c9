import fs from 'node:fs';
import { promisify } from 'node:util';
import type { FileHandle } from '../../core/ports/file-system.ts';
import { errnoError } from '../kernel/errno.ts';
import { attempt } from './turns.ts';

/** Bytes; longer reads run on another thread. */
const SMALL_READ = 64 * 1024;
/** Bytes; longer writes run on another thread. The page cache takes bytes faster than it gives them. */
const SMALL_WRITE = 256 * 1024;

const fsync = promisify(fs.fsync);
const read = promisify(fs.read);
const writev = promisify(fs.writev);

/** Owns the descriptor that it is given. */
export class OpenFile implements FileHandle {
  readonly #fd: number;
  readonly #path: string;
  /** Operations on the descriptor that have not ended. */
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = JSON.stringify(path);
  }

  /** Runs one operation; `close` waits for its end. */
  #use<T>(doing: string, work: (fd: number) => T | Promise<T>): Promise<T> {
    const running = attempt(`${doing} ${this.#path}`, undefined, () => {
      if (this.#closing !== undefined) throw errnoError('EBADF', `${doing} ${this.#path}`);
      return work(this.#fd);
    });
    this.#running.add(running);
    const ended = () => this.#running.delete(running);
    running.then(ended, ended);
    return running;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    if (into.length === 0) return 0;
    return this.#use('reading', async (fd) =>
      into.length <= SMALL_READ
        ? fs.readSync(fd, into, 0, into.length, at)
        : (await read(fd, into, 0, into.length, at)).bytesRead,
    );
  }

  async write(bytes: Uint8Array | readonly Uint8Array[], at: number): Promise<void> {
    const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    await this.#use('writing', async (fd) => {
      for (let done = 0; done < length; ) {
        const rest = done === 0 ? pieces : after(pieces, done);
        const here = length - done <= SMALL_WRITE;
        done += here ? fs.writevSync(fd, rest, at + done) : (await writev(fd, rest, at + done)).bytesWritten;
      }
    });
  }

  truncate(size: number): Promise<void> {
    return this.#use('truncating', (fd) => fs.ftruncateSync(fd, size));
  }

  sync(): Promise<void> {
    return this.#use('syncing', (fd) => fsync(fd));
  }

  size(): Promise<number> {
    return this.#use('reading the size of', (fd) => fs.fstatSync(fd).size);
  }

  /** Waits for operations under way. A second call does nothing more. */
  close(): Promise<void> {
    this.#closing ??= attempt(`closing ${this.#path}`, undefined, async () => {
      await Promise.allSettled(this.#running);
      fs.closeSync(this.#fd);
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The rest of the pieces after their first `done` bytes. */
function after(pieces: readonly Uint8Array[], done: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = done;
  for (const piece of pieces) {
    if (skip < piece.length) rest.push(skip > 0 ? piece.subarray(skip) : piece);
    skip = Math.max(0, skip - piece.length);
  }
  return rest;
}
