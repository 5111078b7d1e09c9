/** Content.Write as a queue of requests, each with its answer, in order. */
import { onAbort, orAborted } from '../../core/async/abort.ts';
import { startTimer, type Timer } from '../../core/async/timer.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { methodOf } from './codec.ts';
import { type Connection, noAnswer, type WriteCall } from './connection.ts';
import type { Message, Sent } from './messages.ts';

const { encode } = methodOf('content.v1.Content/Write');

/** Bytes that containerd hashes or syncs in a millisecond, at the least. */
const SLOWEST = 10_000;

interface Pending {
  resolve(response: Message<'WriteResponse'>): void;
  reject(err: unknown): void;
}

/**
 * containerd answers the requests in order. After a COMMIT and at the end it sends the last answer once more; an answer without
 * a request is dropped. containerd keeps the ref locked while the stream lasts. Without an answer in time the stream is cancelled:
 * Unavailable.
 */
export class WriteStream {
  readonly #connection: Connection;
  readonly #call: WriteCall;
  readonly #pending: Pending[] = [];
  readonly #ended: Promise<void>;
  #failure: { reason: unknown } | undefined;
  #over = false;
  /** Milliseconds for an answer: containerd may have to hash or sync the whole blob for it. */
  readonly #limit: number;
  #timer: Timer | undefined;

  /** `size`: of the blob. */
  constructor(connection: Connection, { lease, size = 0 }: { lease?: string | undefined; size?: number }) {
    this.#connection = connection;
    this.#call = connection.write(lease);
    const { stream, signal, done, patience } = this.#call;
    this.#limit = patience + size / SLOWEST;
    stream.on('data', (response: Message<'WriteResponse'>) => this.#answer(response));
    const stopListening = onAbort(signal, () => this.#fail(signal.reason));
    this.#ended = new Promise((resolve) => {
      const end = (reason: unknown) => {
        stopListening();
        done();
        this.#end(reason);
        resolve();
      };
      stream.on('error', (err) => end(connection.explain(err)));
      stream.on('end', () => end(undefined));
    });
  }

  /** The stream has ended: a request fails. */
  get over(): boolean {
    return this.#over;
  }

  #answer(response: Message<'WriteResponse'>): void {
    this.#pending.shift()?.resolve(response);
    this.#wait(this.#pending.length > 0);
  }

  /** Begins to wait for an answer, or waits for none. */
  #wait(waits: boolean): void {
    clearTimeout(this.#timer);
    const late = () => this.#fail(noAnswer(this.#limit));
    this.#timer = waits && !this.#over ? startTimer(this.#limit, late) : undefined;
  }

  #fail(reason: unknown): void {
    this.#end(reason);
    this.cancel();
  }

  #end(reason: unknown): void {
    if (reason !== undefined) this.#failure ??= { reason };
    this.#over = true;
    this.#wait(false);
    const why = this.#failure?.reason ?? this.#endedEarly();
    for (const pending of this.#pending.splice(0)) pending.reject(why);
  }

  #endedEarly(): HawserError {
    return new HawserError('Unavailable', `containerd at ${this.#connection.address} ended a write early`);
  }

  /** As `send`, of a message that is encoded here. */
  async request(message: Partial<Sent<'WriteRequest'>>, call: Call = {}): Promise<Message<'WriteResponse'>> {
    return await this.send(encode(message), call);
  }

  /**
   * Resolves to the answer. The encoded message must not change until then. An abort rejects at once; containerd may still carry
   * out the request.
   */
  async send(message: Buffer, { signal }: Call = {}): Promise<Message<'WriteResponse'>> {
    signal?.throwIfAborted();
    if (this.#over) throw this.#failure?.reason ?? this.#endedEarly();
    const answered = new Promise<Message<'WriteResponse'>>((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      if (this.#pending.length === 1) this.#wait(true);
      this.#call.stream.write(message);
    });
    return await orAborted(answered, signal);
  }

  /** Ends the stream and waits until the ref is free. An abort cancels the stream. */
  async close({ signal }: Call = {}): Promise<void> {
    if (!this.#over) {
      this.#call.stream.end();
      this.#wait(true);
    }
    try {
      await orAborted(this.#ended, signal);
    } catch {
      this.cancel();
    }
  }

  cancel(): void {
    this.#call.stream.cancel();
  }
}
