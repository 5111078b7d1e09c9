/**
 * Whole zstd frames in memory, both ways (the WebAssembly module of the npm package @bokuweb/zstd-wasm). Tests and fuzzing hold the
 * decoders of streams to these functions; no verb uses them.
 */
import { wasmBytes } from '../../../wasm/zstd-oneshot.generated.ts';
import { HawserError } from '../errors.ts';
import { corrupt } from './failures.ts';
import { ZstdWalk, zstdTruncated } from './zstd-frames.ts';

/** The module's names are minified; its own glue (dist/esm/zstd.js of the package) says which is which. */
interface Exports {
  readonly f: WebAssembly.Memory;
  /** Constructors. */
  g(): void;
  /** ZSTD_isError, ZSTD_compressBound. */
  h(code: number): number;
  i(size: number): number;
  /** ZSTD_compress, ZSTD_decompress. */
  m(dst: number, capacity: number, src: number, size: number, level: number): number;
  r(dst: number, capacity: number, src: number, size: number): number;
  /** malloc, free. */
  s(size: number): number;
  t(pointer: number): void;
}

const PAGE = 65536;

let compiled: Promise<WebAssembly.Module> | undefined;

/** A fresh instance a call: nothing a frame made it allocate is kept. */
async function instantiate(): Promise<Exports> {
  compiled ??= WebAssembly.compile(wasmBytes());
  const module = await compiled;
  let memory: WebAssembly.Memory | undefined;
  const stop = () => {
    throw new HawserError('Internal', 'The zstd module stopped');
  };
  const grow = (wanted: number): number => {
    if (memory === undefined) return 0;
    try {
      memory.grow(Math.ceil(((wanted >>> 0) - memory.buffer.byteLength) / PAGE));
      return 1;
    } catch {
      return 0;
    }
  };
  const imports = { a: { a: stop, b: () => {}, c: stop, d: () => 0, e: grow } };
  const exports = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  memory = exports.f;
  exports.g();
  return exports;
}

function allocate(exports: Exports, size: number, doing: string): number {
  const pointer = exports.s(Math.max(1, size)) >>> 0;
  if (pointer === 0)
    throw new HawserError('ResourceExhausted', `Cannot ${doing} zstd data: no memory for ${size} bytes`);
  return pointer;
}

/** One frame with its content size. `level` 1 (fast) to 19. */
export async function compress(bytes: Uint8Array, level = 3): Promise<Uint8Array> {
  const exports = await instantiate();
  const capacity = exports.i(bytes.length) >>> 0;
  const src = allocate(exports, bytes.length, 'compress');
  const dst = allocate(exports, capacity, 'compress');
  new Uint8Array(exports.f.buffer).set(bytes, src);
  const size = exports.m(dst, capacity, src, bytes.length, level) >>> 0;
  if (exports.h(size)) throw new HawserError('Internal', `Cannot compress with zstd: error ${-(size | 0)}`);
  return new Uint8Array(exports.f.buffer).slice(dst, dst + size);
}

/**
 * Decodes `bytes`, which must be one or more whole frames and nothing else. What they can decode to at most is known
 * from their block headers, so content sizes that lie cost nothing. More than `maxSize` is ResourceExhausted, anything
 * else wrong with them DataLoss.
 */
export async function decompressFrame(bytes: Uint8Array, maxSize: number): Promise<Uint8Array> {
  const bound = boundOf(bytes);
  const exports = await instantiate();
  // One byte more than allowed tells too large from just fitting.
  const capacity = Math.min(bound, maxSize + 1);
  const src = allocate(exports, bytes.length, 'decompress');
  const dst = allocate(exports, capacity, 'decompress');
  new Uint8Array(exports.f.buffer).set(bytes, src);
  const size = exports.r(dst, capacity, src, bytes.length) >>> 0;
  const failed = exports.h(size) !== 0;
  const tooSmall = failed && (size | 0) === -70;
  if (size > maxSize && (!failed || tooSmall))
    throw new HawserError(
      'ResourceExhausted',
      `Cannot decompress zstd data: it is larger than ${maxSize} bytes`,
    );
  if (failed) throw corrupt('zstd', `the decoder reports error ${-(size | 0)}`);
  return new Uint8Array(exports.f.buffer).slice(dst, dst + size);
}

function boundOf(bytes: Uint8Array): number {
  if (bytes.length === 0) throw corrupt('zstd', 'it is empty');
  const walk = new ZstdWalk();
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < walk.wants) throw zstdTruncated();
    at += walk.step(bytes, at);
  }
  if (!walk.between) throw zstdTruncated();
  return walk.bound;
}
