/** Whole files, some by one call of what is linked into the static executable (scripts/static/files.c). */
import type { ByteString } from '../../core/bytes.ts';
import { type HawserError, undone } from '../../core/errors.ts';
import type { Dir, MadeFiles, NewFile } from '../../core/ports/syscalls.ts';
import { errnoError, errnoName } from './errno.ts';
import type { FfiCalls } from './ffi-calls.ts';
import type { LinkedFiles } from './libc.ts';
import { isName, pathOfFile } from './names.ts';
import { encodeTimes } from './stat.ts';

const TWO32 = 4294967296;

/** Where the fields of `struct batch` are. */
export const BATCH = { count: 0, dir: 4, made: 8, step: 12, error: 16, fd: 20, files: 24 } as const;

/** Where the fields of `struct file` are. */
export const FILE = {
  next: 0,
  perm: 4,
  uid: 8,
  gid: 12,
  mode: 16,
  content: 24,
  length: 32,
  times: 40,
  name: 72,
} as const;

export const UNCHANGED = 0xffffffff;

/** `enum step`. */
export const STEP = { none: 0, create: 1, write: 2, describe: 3, close: 4 } as const;

/** NAME_MAX. */
const MAX_NAME = 255;
const MAX_FILE = FILE.name + MAX_NAME + 1;
const MOST = 64;

export class WholeFiles {
  readonly #calls: FfiCalls;
  readonly #linked: LinkedFiles;
  readonly #bytes = new Uint8Array(new ArrayBuffer(BATCH.files + MOST * MAX_FILE));
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #run: () => void;
  /** The buffer of the last content is kept, so that no other buffer gets its address. */
  #buffer: ArrayBufferLike | undefined;
  #address = 0;

  constructor(linked: LinkedFiles, calls: FfiCalls) {
    this.#linked = linked;
    this.#calls = calls;
    this.#run = linked.maker(this.#bytes);
  }

  /** Syscalls.makeFiles. */
  make(dir: Dir, files: readonly NewFile[]): MadeFiles {
    for (let count = 0; count < files.length; ) {
      const last = this.#write(dir, files, count);
      // A name that is none: the single call refuses it.
      if (last === count) return { count, failed: 'create' };
      this.#run();
      count += this.#view.getUint32(BATCH.made, true);
      if (count < last) return { count, failed: this.#failure() };
    }
    return { count: files.length, failed: undefined };
  }

  /** Writes files from the one at `first` on, as many as have room. Returns the index of the next. */
  #write(dir: Dir, files: readonly NewFile[], first: number): number {
    let at: number = BATCH.files;
    let index = first;
    for (; index < files.length && index < first + MOST; index++) {
      const file = files[index];
      if (file === undefined || !isName(file.name) || file.name.length > MAX_NAME) break;
      at = this.#writeFile(at, file);
    }
    this.#view.setUint32(BATCH.count, index - first, true);
    this.#view.setInt32(BATCH.dir, dir.fd, true);
    return index;
  }

  #writeFile(at: number, { name, content, perm, owner, mode, atime, mtime }: NewFile): number {
    const view = this.#view;
    view.setUint32(at + FILE.perm, perm, true);
    view.setUint32(at + FILE.uid, owner?.uid ?? UNCHANGED, true);
    view.setUint32(at + FILE.gid, owner?.gid ?? UNCHANGED, true);
    view.setUint32(at + FILE.mode, mode ?? UNCHANGED, true);
    this.#writeLong(at + FILE.content, this.#addressOf(content));
    this.#writeLong(at + FILE.length, content.length);
    encodeTimes(view, atime, mtime, at + FILE.times);
    const end = this.#writeName(at + FILE.name, name);
    const next = (end + 7) & ~7;
    view.setUint32(at + FILE.next, next - at, true);
    return next;
  }

  #writeLong(at: number, value: number): void {
    this.#view.setUint32(at, value % TWO32, true);
    this.#view.setUint32(at + 4, value / TWO32, true);
  }

  #writeName(at: number, name: ByteString): number {
    const bytes = this.#bytes;
    const { length } = name;
    for (let i = 0; i < length; i++) bytes[at + i] = name.charCodeAt(i);
    bytes[at + length] = 0;
    return at + length + 1;
  }

  #addressOf({ buffer, byteOffset }: Uint8Array): number {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#address = this.#linked.address(buffer);
    }
    return this.#address + byteOffset;
  }

  #failure(): 'create' | 'describe' | HawserError {
    const step = this.#view.getInt32(BATCH.step, true);
    if (step === STEP.create) return 'create';
    if (step === STEP.describe) return 'describe';
    const errno = errnoName(this.#view.getInt32(BATCH.error, true));
    const fd = this.#view.getInt32(BATCH.fd, true);
    const path = pathOfFile(fd);
    if (step === STEP.close) return errnoError(errno, `closing ${path}`);
    return undone(errnoError(errno, `writing ${path}`), () => this.#calls.close(fd, () => path));
  }
}
