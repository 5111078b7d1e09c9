/** Content.Write as requests that are each answered, in order, several under way at a time. */
import { orAborted } from '../../core/async/abort.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { methodOf } from './codec.ts';
import type { CallOptions, Connection, WriteCallStream } from './connection.ts';
import type { Message, Sent } from './messages.ts';

const { encode } = methodOf('content.v1.Content/Write');

interface Pending {
  resolve(response: Message<'WriteResponse'>): void;
  reject(err: unknown): void;
}

/**
 * containerd answers every request, in order. At a COMMIT and at the end it sends its last answer once more: answers to
 * nothing are dropped. The ref is locked while the stream lasts.
 */
export class WriteStream {
  readonly #connection: Connection;
  readonly #call: WriteCallStream;
  readonly #pending: Pending[] = [];
  readonly #ended: Promise<void>;
  #failure: { reason: unknown } | undefined;
  #over = false;

  constructor(connection: Connection, opts: CallOptions) {
    this.#connection = connection;
    this.#call = connection.write({ lease: opts.lease });
    this.#call.on('data', (response: Message<'WriteResponse'>) => this.#pending.shift()?.resolve(response));
    this.#ended = new Promise((resolve) => {
      this.#call.on('error', (err) => this.#end(connection.explain(err), resolve));
      this.#call.on('end', () => this.#end(undefined, resolve));
    });
  }

  /** No more can be asked of it. */
  get over(): boolean {
    return this.#over;
  }

  #end(reason: unknown, resolve: () => void): void {
    if (reason !== undefined) this.#failure ??= { reason };
    this.#over = true;
    const why = this.#failure?.reason ?? this.#endedEarly();
    for (const pending of this.#pending.splice(0)) pending.reject(why);
    resolve();
  }

  #endedEarly(): HawserError {
    return new HawserError('Unavailable', `containerd at ${this.#connection.address} ended a write early`);
  }

  /**
   * The answer. The message's bytes have been copied when this returns its promise. When the signal aborts, the reason at
   * once: the request may still be carried out.
   */
  async request(
    message: Partial<Sent<'WriteRequest'>>,
    { signal }: Call = {},
  ): Promise<Message<'WriteResponse'>> {
    signal?.throwIfAborted();
    if (this.#over) throw this.#failure?.reason ?? this.#endedEarly();
    const answered = new Promise<Message<'WriteResponse'>>((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#call.write(encode(message));
    });
    return await orAborted(answered, signal);
  }

  /** No more requests: waits until the ref is free again. Aborted: it is cancelled. */
  async close({ signal }: Call = {}): Promise<void> {
    if (!this.#over) this.#call.end();
    try {
      await orAborted(this.#ended, signal);
    } catch {
      this.cancel();
    }
  }

  cancel(): void {
    this.#call.cancel();
  }
}
