/** What scripts/static/files.c does, by single calls of libc: for runtimes that lack the C, and to make one of the calls fail. */
import { type ByteString, fromBytes } from '../../src/core/bytes.ts';
import type { Libc, LibcFunctions, LinkedFiles } from '../../src/platform/kernel/libc.ts';
import { BATCH, FILE, STEP, UNCHANGED } from '../../src/platform/kernel/whole-files.ts';

const FLAGS = 0o1 | 0o100 | 0o200 | 0o2000000;
const EINTR = 4;
/** Addresses of two buffers are so far apart. */
const FAR = 2 ** 40;

/** `libc` with the one call, made of its single calls. */
export function withLinkedFiles(libc: Libc): Libc {
  const buffers: ArrayBufferLike[] = [];
  const linked: LinkedFiles = {
    address: (buffer) => {
      if (!buffers.includes(buffer)) buffers.push(buffer);
      return buffers.indexOf(buffer) * FAR;
    },
    maker: (batch) => () => new Emulation(libc, batch, buffers).run(),
  };
  return { ...libc, linked };
}

class Emulation {
  readonly #libc: Libc;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #buffers: readonly ArrayBufferLike[];
  #fd = -1;

  constructor(libc: Libc, batch: Uint8Array, buffers: readonly ArrayBufferLike[]) {
    this.#libc = libc;
    this.#bytes = batch;
    this.#view = new DataView(batch.buffer);
    this.#buffers = buffers;
  }

  run(): void {
    const view = this.#view;
    const count = view.getUint32(BATCH.count, true);
    let at: number = BATCH.files;
    for (let made = 0; ; made++) {
      view.setUint32(BATCH.made, made, true);
      if (made === count) return;
      const step = this.#make(at);
      view.setInt32(BATCH.step, step, true);
      view.setInt32(BATCH.fd, this.#fd, true);
      if (step !== STEP.none) return;
      at += view.getUint32(at + FILE.next, true);
    }
  }

  /** Notes errno after a call that failed. */
  #failed(result: number | bigint): boolean {
    if (Number(result) >= 0) return false;
    this.#view.setInt32(BATCH.error, this.#libc.errno(), true);
    return true;
  }

  #make(at: number): number {
    const { fn, machine } = this.#libc;
    const name = this.#bytes.slice(at + FILE.name, this.#bytes.indexOf(0, at + FILE.name) + 1);
    const dir = this.#view.getInt32(BATCH.dir, true);
    this.#fd = fn.openat(dir, name, FLAGS | machine.O_NOFOLLOW, this.#view.getUint32(at + FILE.perm, true));
    if (this.#failed(this.#fd)) return STEP.create;
    for (let rest = this.#content(at); rest.length > 0; ) {
      const done = fn.write(this.#fd, rest, rest.length);
      if (this.#failed(done)) return STEP.write;
      rest = rest.subarray(Number(done));
    }
    const described = this.#describe(at, fn);
    if (this.#failed(fn.close(this.#fd)) && this.#view.getInt32(BATCH.error, true) !== EINTR)
      return STEP.close;
    return described ? STEP.none : STEP.describe;
  }

  #content(at: number): Uint8Array {
    const address = Number(this.#view.getBigUint64(at + FILE.content, true));
    const length = Number(this.#view.getBigUint64(at + FILE.length, true));
    const buffer = this.#buffers[Math.floor(address / FAR)];
    return buffer === undefined ? new Uint8Array() : new Uint8Array(buffer, address % FAR, length);
  }

  #describe(at: number, fn: LibcFunctions): boolean {
    const field = (offset: number): number => this.#view.getUint32(at + offset, true);
    const [uid, mode] = [field(FILE.uid), field(FILE.mode)];
    if (uid !== UNCHANGED && this.#failed(fn.fchown(this.#fd, uid, field(FILE.gid)))) return false;
    if (mode !== UNCHANGED && this.#failed(fn.fchmod(this.#fd, mode))) return false;
    const times = this.#bytes.slice(at + FILE.times, at + FILE.name);
    return !this.#failed(fn.futimens(this.#fd, times));
  }
}

/** What is done to a file, by whichever call of libc. */
export type Doing = 'create' | 'write' | 'chown' | 'chmod' | 'utimes' | 'close';

const BY_NAME: Readonly<Record<string, Doing>> = {
  fchownat: 'chown',
  sysFchmodat2: 'chmod',
  utimensat: 'utimes',
};
const BY_DESCRIPTOR: Readonly<Record<string, Doing>> = {
  ...{
    write: 'write',
    pwrite: 'write',
    fchown: 'chown',
    fchmod: 'chmod',
    futimens: 'utimes',
    close: 'close',
  },
};
const O_CREAT = 0o100;

/** `libc`, where one thing that is done to new files of one name fails, as often as it is tried. */
export function failingFor(libc: Libc, doing: Doing, name: ByteString, errno: number): Libc {
  const names = new Map<unknown, ByteString>();
  let failed = false;
  const fails = (what: Doing | undefined, of: ByteString | undefined): boolean =>
    what === doing && of === name;
  const wrapped = (key: string, real: (...args: unknown[]) => unknown) => {
    return (...args: unknown[]): unknown => {
      failed = false;
      const creates = key === 'openat' && (Number(args[2]) & O_CREAT) !== 0;
      const index = key === 'sysFchmodat2' ? 2 : 1;
      const given = creates || key in BY_NAME ? textOf(args[index]) : names.get(args[0]);
      if (fails(creates ? 'create' : (BY_NAME[key] ?? BY_DESCRIPTOR[key]), given)) failed = true;
      // A descriptor is gone although its closing failed.
      const result = failed && key !== 'close' ? -1 : real(...args);
      if (creates && Number(result) >= 0) names.set(result, given ?? '');
      if (key === 'close') names.delete(args[0]);
      return failed ? -1 : result;
    };
  };
  const fn = Object.fromEntries(
    Object.entries(libc.fn).map(([key, real]) => [
      key,
      wrapped(key, real as (...args: unknown[]) => unknown),
    ]),
  );
  return {
    ...{ ...libc, fn: fn as unknown as LibcFunctions },
    // Names stay readable.
    pin: (bytes) => bytes,
    errno: () => (failed ? errno : libc.errno()),
  };
}

function textOf(bytes: unknown): ByteString {
  const name = bytes as Uint8Array;
  return fromBytes(name, 0, name.indexOf(0));
}
