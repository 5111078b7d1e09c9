/** Content.Write as a queue of requests, each with its answer, in order. */
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
 * containerd answers the requests in order. After a COMMIT and at the end it sends the last answer once more; an answer without
 * a request is dropped. containerd keeps the ref locked while the stream lasts.
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

  /** The stream has ended: a request fails. */
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
   * Resolves to the answer. Copies the message's bytes before it returns. An abort rejects at once; containerd may still carry
   * out the request.
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

  /** Ends the stream and waits until the ref is free. An abort cancels the stream. */
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
