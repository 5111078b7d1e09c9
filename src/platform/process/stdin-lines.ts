import { Buffer } from 'node:buffer';
import process from 'node:process';
import { onAbort } from '../../core/async/abort.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { isTerminal } from './terminal.ts';

const MAX_LINE = 64 * 1024;

const ETX = 0x03;
const EOT = 0x04;
const BACKSPACE = 0x08;
const LF = 0x0a;
const CR = 0x0d;
const NAK = 0x15;
const DELETE = 0x7f;

/**
 * Lines of standard input. Bytes after a line are kept for the next call. node:readline does not serve: it has no limit for a
 * line, and bytes that it has read ahead are lost when it is closed between two lines.
 */
export class StdinLines {
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;

  /**
   * One line without its newline, decoded as UTF-8; the last line may lack the newline. OutOfRange at the end of the input,
   * ResourceExhausted beyond 64 KiB. With `silent` a terminal is in raw mode meanwhile. The interrupt key sends SIGINT then,
   * and the read rejects with Canceled.
   */
  async read(opts: { silent?: boolean } & Call = {}): Promise<string> {
    opts.signal?.throwIfAborted();
    if (opts.silent !== true || !isTerminal(0)) return this.#line(new PlainLine(), opts.signal);
    process.stdin.setRawMode(true);
    try {
      return await this.#line(new TypedLine(), opts.signal);
    } catch (err) {
      process.stdin.setRawMode(false);
      if (err === INTERRUPTED) {
        process.kill(process.pid, 'SIGINT');
        throw new HawserError('Canceled', 'Reading a line was interrupted', { cause: err });
      }
      throw err;
    } finally {
      process.stdin.setRawMode(false);
    }
  }

  /** What a line has left, else the next chunk; undefined at the end. */
  async bytes({ signal }: Call = {}): Promise<Uint8Array | undefined> {
    signal?.throwIfAborted();
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    if (rest.length > 0) return rest;
    const chunk = this.#ended ? undefined : await nextChunk(signal);
    this.#ended = chunk === undefined;
    return chunk && new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
  }

  async #line(line: Line, signal: AbortSignal | undefined): Promise<string> {
    for (;;) {
      const used = line.take(this.#rest);
      if (used !== undefined) {
        this.#rest = this.#rest.subarray(used);
        return text(line);
      }
      const chunk = this.#ended ? undefined : await nextChunk(signal);
      if (chunk === undefined) {
        this.#ended = true;
        this.#rest = new Uint8Array(0);
        if (line.bytes.length > 0) return text(line);
        throw new HawserError('OutOfRange', 'Cannot read a line: standard input has ended');
      }
      this.#rest = chunk;
      if (line.bytes.length > MAX_LINE) tooLong();
    }
  }
}

function tooLong(): never {
  throw new HawserError(
    'ResourceExhausted',
    `Cannot read a line of standard input: longer than ${MAX_LINE} bytes`,
  );
}

function text(line: Line): string {
  if (line.bytes.length > MAX_LINE) tooLong();
  return Buffer.from(line.bytes).toString('utf8');
}

/** Collects a line. `take` returns the number of bytes up to the line's end, undefined (all taken) without one. */
interface Line {
  readonly bytes: number[];
  take(chunk: Uint8Array): number | undefined;
}

class PlainLine implements Line {
  readonly bytes: number[] = [];

  take(chunk: Uint8Array): number | undefined {
    const end = chunk.indexOf(LF);
    const piece = chunk.subarray(0, end < 0 ? chunk.length : end);
    for (const byte of piece.subarray(0, MAX_LINE + 2 - this.bytes.length)) this.bytes.push(byte);
    if (end < 0) return undefined;
    if (this.bytes.at(-1) === CR) this.bytes.pop();
    return end + 1;
  }
}

const INTERRUPTED = new Error('interrupt key');

/** A line of a terminal in raw mode: handles the keys that the kernel's line discipline handles else. */
class TypedLine implements Line {
  readonly bytes: number[] = [];

  take(chunk: Uint8Array): number | undefined {
    const last = chunk.findIndex((byte) => this.#key(byte));
    return last < 0 ? undefined : last + 1;
  }

  /** Whether the key ends the line. */
  #key(byte: number): boolean {
    if (byte === ETX) throw INTERRUPTED;
    if (byte === LF || byte === CR) return true;
    if (byte === EOT) {
      if (this.bytes.length > 0) return true;
      throw new HawserError('OutOfRange', 'Cannot read a line: standard input has ended');
    }
    if (byte === DELETE || byte === BACKSPACE) this.#erase();
    else if (byte === NAK) this.bytes.length = 0;
    else if (this.bytes.length <= MAX_LINE) this.bytes.push(byte);
    return false;
  }

  /** Drops the last character: its continuation bytes (10xxxxxx) and the byte before them. */
  #erase(): void {
    while (((this.bytes.at(-1) ?? 0) & 0xc0) === 0x80) this.bytes.pop();
    this.bytes.pop();
  }
}

/** The next bytes; undefined at the end. The stream is paused before and after, and keeps no process alive then. */
function nextChunk(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    let awake: ReturnType<typeof setInterval> | undefined;
    const leave = (then: () => void) => {
      clearInterval(awake);
      stdin.pause();
      stdin.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
      stopListening();
      then();
    };
    const onData = (chunk: Uint8Array) => leave(() => resolve(chunk));
    const onEnd = () => leave(() => resolve(undefined));
    const onError = (err: Error) =>
      leave(() => reject(new HawserError('Internal', 'Cannot read standard input', { cause: err })));
    if (signal?.aborted) return reject(signal.reason);
    if (stdin.readableEnded || stdin.destroyed) return resolve(undefined);
    // Deno 2.9.6 ends a process that waits for a stream which was paused and resumed.
    awake = setInterval(() => {}, 2 ** 30);
    const stopListening = onAbort(signal, () => leave(() => reject(signal?.reason)));
    stdin.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
    stdin.resume();
  });
}
