import { orAborted } from '../../core/async/abort.ts';
import { HawserError, wrap } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Message } from './messages.ts';
import { encodeWrite, HEAD } from './write-message.ts';
import type { WriteStream } from './write-stream.ts';

/** The most bytes of one message. */
export const CHUNK: number = 2 * 1024 * 1024;
/** The most bytes that are unanswered: containerd, which hashes them, then never waits for us. */
const WINDOW = 4 * CHUNK;
/** Answered buffers that are kept: one is filled while the other is on its way. */
const SPARE = 2;

/**
 * The bytes of an ingest on their way into its stream. They are gathered into one message while others are unanswered. So
 * bytes of a slow download are sent at once, to survive this process, and bytes of a fast one in large messages, which
 * cost less.
 */
export class Outbox {
  readonly #ref: string;
  readonly #stream: WriteStream;
  /** The offset of the next message. */
  #sent: number;
  /** The bytes gathered, from HEAD on. */
  #chunk: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  /** Buffers whose messages were answered. Left to V8, each made it collect garbage sooner. */
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  readonly #size: number;
  #unanswered = 0;
  readonly #answers: Promise<void>[] = [];
  #failure: { reason: unknown } | undefined;

  /** `offset`: the number of bytes that containerd has. `size`: of the whole, where known. */
  constructor(ref: string, stream: WriteStream, offset: number, size: number | undefined) {
    this.#ref = ref;
    this.#stream = stream;
    this.#sent = offset;
    this.#size = Math.min(CHUNK, size ?? CHUNK);
  }

  /** Throws the error of an earlier message. */
  check(): void {
    if (this.#failure !== undefined) throw wrap(`Cannot write to "${this.#ref}"`, this.#failure.reason);
  }

  /** Waits until less than a window is unanswered. */
  async room(call: Call): Promise<void> {
    while (this.#unanswered >= WINDOW) await orAborted(Promise.race(this.#answers), call.signal);
    this.check();
  }

  /** Copies the bytes: the caller may use its buffer again. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += this.#gather(bytes.subarray(at));
    if (this.#unanswered === 0) this.#send();
  }

  /** Resolves when containerd has all bytes added. */
  async flush(call: Call): Promise<void> {
    this.#send();
    await orAborted(Promise.all(this.#answers), call.signal);
    this.check();
  }

  #gather(bytes: Uint8Array): number {
    this.#chunk ??= this.#spare.pop() ?? new Uint8Array(HEAD + this.#size);
    const part = bytes.subarray(0, this.#size - this.#filled);
    this.#chunk.set(part, HEAD + this.#filled);
    this.#filled += part.length;
    if (this.#filled === this.#size) this.#send();
    return part.length;
  }

  /** Sends the true offset always: containerd truncates the ingest when a message has the offset 0. */
  #send(): void {
    const chunk = this.#chunk;
    const length = this.#filled;
    if (chunk === undefined || length === 0) return;
    const message = encodeWrite(chunk, length, this.#sent);
    this.#chunk = undefined;
    this.#filled = 0;
    this.#sent += length;
    this.#unanswered += length;
    const expected = this.#sent;
    const answered = this.#stream
      .send(message)
      .then(
        (response) => {
          this.#confirm(response, expected);
          if (this.#spare.length < SPARE) this.#spare.push(chunk);
        },
        (reason) => {
          this.#failure ??= { reason };
        },
      )
      .finally(() => {
        this.#unanswered -= length;
        this.#answers.shift();
      });
    this.#answers.push(answered);
  }

  #confirm({ offset }: Message<'WriteResponse'>, expected: number): void {
    if (offset === expected) return;
    const reason = new HawserError('Internal', `containerd has ${offset} bytes, ${expected} were sent`);
    this.#failure ??= { reason };
  }
}
