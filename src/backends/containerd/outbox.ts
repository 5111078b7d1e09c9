import { HawserError, wrap } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { WRITE, type WriteResponse } from './messages.ts';
import { orAborted, type WriteStream } from './write-stream.ts';

/** Bytes of one message, and of those that are under way: enough that containerd, which hashes, never waits for us. */
export const CHUNK: number = 1024 * 1024;
const WINDOW = 8 * CHUNK;

/** The bytes of an ingest on their way into its stream: gathered into messages, a window of them unanswered. */
export class Outbox {
  readonly #ref: string;
  readonly #stream: WriteStream;
  /** Where the next message goes. */
  #sent: number;
  #chunk: Uint8Array = new Uint8Array(0);
  #filled = 0;
  #underWay: { readonly bytes: number; readonly answered: Promise<void> }[] = [];
  #failure: { reason: unknown } | undefined;

  /** `offset`: how many bytes containerd has. */
  constructor(ref: string, stream: WriteStream, offset: number) {
    this.#ref = ref;
    this.#stream = stream;
    this.#sent = offset;
  }

  /** What an earlier write came to is thrown here too. */
  check(): void {
    if (this.#failure !== undefined) throw wrap(`Cannot write to "${this.#ref}"`, this.#failure.reason);
  }

  /** Waits until less than a window is under way. */
  async room(call: Call): Promise<void> {
    let bytes = this.#underWay.reduce((sum, one) => sum + one.bytes, 0);
    for (let first = this.#underWay[0]; first !== undefined && bytes >= WINDOW; first = this.#underWay[0]) {
      await orAborted(first.answered, call.signal);
      if (this.#underWay[0] === first) this.#underWay.shift();
      bytes -= first.bytes;
    }
    this.check();
  }

  /** Copies them: the caller may use its buffer again. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += this.#gather(bytes.subarray(at));
  }

  /** All that was added is with containerd. */
  async flush(call: Call): Promise<void> {
    this.#send();
    const answers = this.#underWay.map((one) => one.answered);
    await orAborted(Promise.all(answers), call.signal);
    this.check();
  }

  #gather(bytes: Uint8Array): number {
    if (this.#filled === 0) this.#chunk = new Uint8Array(CHUNK);
    const part = bytes.subarray(0, CHUNK - this.#filled);
    this.#chunk.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === CHUNK) this.#send();
    return part.length;
  }

  /** An offset of 0 would cut off what is there: it is always the true one. */
  #send(): void {
    if (this.#filled === 0) return;
    const data = this.#chunk.subarray(0, this.#filled);
    const offset = this.#sent;
    this.#filled = 0;
    this.#sent += data.length;
    const answered = this.#stream.request({ action: WRITE, offset, data }).then(
      (response) => this.#confirm(response, offset + data.length),
      (reason) => {
        this.#failure ??= { reason };
      },
    );
    this.#underWay.push({ bytes: data.length, answered });
  }

  #confirm({ offset }: WriteResponse, expected: number): void {
    if (offset === expected) return;
    const reason = new HawserError('Internal', `containerd has ${offset} bytes, ${expected} were sent`);
    this.#failure ??= { reason };
  }
}
