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
/** The first input of a stream that is copied, and how much larger each next one may be: most of an input may follow a short stream. */
const FIRST_INPUT = 4 * 1024;
const GROWTH = 4;
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
  /** Bytes of the next input that are copied at once. */
  #most = FIRST_INPUT;

  constructor(module: WebAssembly.Module) {
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
    this.#shared = this.#begin();
  }

  async *decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined> {
    for (let at = 0; input !== undefined && at < input.length; ) {
      const part = input.subarray(at, at + this.#most);
      this.#most = Math.min(INPUT, this.#most * GROWTH);
      const used = yield* this.#decodePart(part);
      if (used !== undefined) return this.#ended(input, at + used);
      at += part.length;
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

  /** `used`: bytes of `input`, of which the last few may follow the stream. */
  #ended(input: Uint8Array, used: number): Ended {
    const ahead = this.#word(6);
    const sums = { crc: this.#word(4), size: this.#word(5) };
    if (ahead <= used) return { ...sums, rest: input.subarray(used - ahead) };
    const rest = new Uint8Array(ahead + input.length - used);
    const { byteOffset } = this.#shared;
    rest.set(this.#memory.subarray(byteOffset + 28, byteOffset + 28 + ahead));
    rest.set(input.subarray(used), ahead);
    return { ...sums, rest };
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
    this.#most = FIRST_INPUT;
  }

  close(): void {}
}
