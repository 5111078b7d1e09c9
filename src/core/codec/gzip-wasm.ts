/** Inflate in WebAssembly (wasm/inflate.c), for runtimes without zlib. */
import { wasmBytes } from '../../../wasm/inflate.generated.ts';
import { crc32 } from './crc32.ts';
import { corrupt } from './failures.ts';
import type { Ended, GzipEngine, Inflater } from './gzip-members.ts';

interface Exports {
  readonly memory: WebAssembly.Memory;
  begin(): number;
  step(at: number, length: number): number;
}

const INPUT = 256 * 1024;
const OUTPUT = 256 * 1024;
const DAMAGED = -1;
const ENDED = 1;
/** Bytes of what `begin` gives the address of. */
const SHARED = 36;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiled once. Each inflater gets an instance of its own, whose memory goes with it. */
export async function wasmGzipEngine(): Promise<GzipEngine> {
  compiled ??= WebAssembly.compile(wasmBytes());
  const module = await compiled;
  return { open: () => new WasmInflater(module), crc32 };
}

class WasmInflater implements Inflater {
  readonly #exports: Exports;
  readonly #memory: Uint8Array;
  #shared: DataView;

  constructor(module: WebAssembly.Module) {
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
    this.#shared = this.#begin();
  }

  async *decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined> {
    for (let left = input; left !== undefined && left.length > 0; ) {
      const part = left.subarray(0, INPUT);
      const used = yield* this.#decodePart(part);
      left = left.subarray(used ?? part.length);
      if (used !== undefined) return this.#ended(left);
    }
    return undefined;
  }

  /** Returns how much of `part` was used when the stream ended. */
  *#decodePart(part: Uint8Array): Generator<Uint8Array, number | undefined, undefined> {
    this.#memory.set(part, this.#word(0));
    for (let used = 0; ; ) {
      const status = this.#exports.step(used, part.length);
      if (status === DAMAGED) throw corrupt('gzip', 'a block is damaged');
      used = this.#word(2);
      const made = this.#word(3);
      const output = this.#word(1);
      if (made > 0) yield this.#memory.slice(output, output + made);
      if (status === ENDED) return used;
      if (used === part.length && made < OUTPUT) return undefined;
    }
  }

  #ended(left: Uint8Array): Ended {
    const ahead = this.#word(6);
    const rest = new Uint8Array(ahead + left.length);
    const { byteOffset } = this.#shared;
    rest.set(this.#memory.subarray(byteOffset + 28, byteOffset + 28 + ahead));
    rest.set(left, ahead);
    return { crc: this.#word(4), size: this.#word(5), rest };
  }

  /** A number of what C shares. */
  #word(index: number): number {
    return this.#shared.getUint32(index * 4, true);
  }

  #begin(): DataView {
    return new DataView(this.#exports.memory.buffer, this.#exports.begin(), SHARED);
  }

  reset(): void {
    this.#shared = this.#begin();
  }

  close(): void {}
}
