/** Streaming zstd in WebAssembly (the module of the npm package zstddec), for runtimes whose own is absent or wrong. */
import { wasmBytes } from '../../../wasm/zstd-stream.generated.ts';
import { HawserError } from '../errors.ts';
import { corrupt, refused } from './failures.ts';
import type { ZstdDecoder, ZstdEngine } from './zstd-decode.ts';

interface Exports {
  readonly memory: WebAssembly.Memory;
  malloc(size: number): number;
  ZSTD_createDCtx(): number;
  ZSTD_decompressStream(context: number, output: number, input: number): number;
}

const INPUT = 128 * 1024;
const OUTPUT = 512 * 1024;

/** zstd_errors.h: a size_t this close to zero from below is an error code. */
const LAST_ERROR = 120;
const ERROR_WINDOW_TOO_LARGE = 16;
const ERROR_MEMORY = 64;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiled once; each decoder gets an instance to itself, whose memory goes with it. */
export async function wasmZstdEngine(): Promise<ZstdEngine> {
  compiled ??= WebAssembly.compile(wasmBytes());
  const module = await compiled;
  return { joins: true, lingers: true, open: () => new WasmDecoder(module) };
}

/** An instance of the module with its context and buffers. */
interface Instance {
  readonly exports: Exports;
  readonly context: number;
  readonly input: number;
  readonly output: number;
  /** ZSTD_inBuffer and ZSTD_outBuffer, one after the other: {pointer, size, pos} each. */
  readonly buffers: number;
}

/**
 * What the last decoder that was closed between two frames had, until garbage is collected: the next decoder takes the instance with its
 * window, and does not have a second one beside.
 */
let spare: WeakRef<Instance> | undefined;

function openInstance(module: WebAssembly.Module): Instance {
  const used = spare?.deref();
  spare = undefined;
  if (used !== undefined) return used;
  const imports = { env: { emscripten_notify_memory_growth: () => {} } };
  const exports = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  const [context, input, output, buffers] = [
    exports.ZSTD_createDCtx(),
    exports.malloc(INPUT),
    exports.malloc(OUTPUT),
    exports.malloc(24),
  ];
  if ([context, input, output, buffers].includes(0)) throw outOfMemory();
  return { exports, context, input, output, buffers };
}

class WasmDecoder implements ZstdDecoder {
  #instance: Instance | undefined;
  /** No frame is begun: the context takes another stream. */
  #between = true;

  constructor(module: WebAssembly.Module) {
    this.#instance = openInstance(module);
  }

  async *decode(input: Uint8Array, frameEnd: boolean): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < input.length; at += INPUT) {
      const part = input.subarray(at, at + INPUT);
      yield* this.#decodePart(part, frameEnd && at + part.length === input.length);
    }
  }

  *#decodePart(part: Uint8Array, frameEnd: boolean): Generator<Uint8Array, void, undefined> {
    let used = 0;
    const { exports, input } = this.#live();
    new Uint8Array(exports.memory.buffer).set(part, input);
    for (;;) {
      const step = this.#step(used, part.length);
      used = step.used;
      if (step.output.length > 0) yield step.output;
      if (used < part.length || (step.full && step.hint !== 0)) continue;
      if (frameEnd && step.hint !== 0) throw corrupt('zstd', 'a frame does not end where its blocks do');
      return;
    }
  }

  /** Decodes until the output buffer is full or the input is used up. `hint` is 0 when a frame is complete and out. */
  #step(from: number, size: number): { used: number; output: Uint8Array; full: boolean; hint: number } {
    const { exports, context, input, output: to, buffers } = this.#live();
    new Uint32Array(exports.memory.buffer, buffers, 6).set([input, size, from, to, OUTPUT, 0]);
    this.#between = false;
    let hint: number;
    let used = from;
    let filled = 0;
    do {
      hint = exports.ZSTD_decompressStream(context, buffers + 12, buffers) | 0;
      if (hint < 0 && hint > -LAST_ERROR) throw failure(-hint);
      // The memory may have grown, which detaches earlier views of it.
      const after = new Uint32Array(exports.memory.buffer, buffers, 6);
      used = after[2] ?? size;
      filled = after[5] ?? 0;
    } while (used < size && filled < OUTPUT);
    this.#between = hint === 0 && used === size;
    const output = new Uint8Array(exports.memory.buffer).slice(to, to + filled);
    return { used, output, full: filled === OUTPUT, hint };
  }

  #live(): Instance {
    if (this.#instance === undefined) throw new HawserError('Internal', 'Cannot use a closed zstd decoder');
    return this.#instance;
  }

  close(): void {
    if (this.#instance !== undefined && this.#between) spare = new WeakRef(this.#instance);
    this.#instance = undefined;
  }
}

function outOfMemory(): HawserError {
  return new HawserError('ResourceExhausted', 'Cannot decompress zstd data: no memory for the decoder');
}

function failure(code: number): HawserError {
  if (code === ERROR_MEMORY) return outOfMemory();
  if (code === ERROR_WINDOW_TOO_LARGE) return refused('ResourceExhausted', 'zstd', 'its window is too large');
  return corrupt('zstd', `the decoder reports error ${code}`);
}
