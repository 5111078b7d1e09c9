/** One connection to a containerd. Each call names the namespace and ends with its signal. */

import grpc from '@grpc/grpc-js';
import { linkAbort, onAbort } from '../../core/async/abort.ts';
import { startTimer } from '../../core/async/timer.ts';
import { closedStore } from '../../core/backend.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type MethodName, methodOf } from './codec.ts';
import { fromStatus } from './errors.ts';
import { Liveness, PATIENCE, type Patience } from './liveness.ts';
import type { Calls, Message, Streams } from './messages.ts';

/** The most bytes of a message, as containerd has it (defaults.DefaultMaxRecvMsgSize). The default of grpc-js is 4 MiB. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Milliseconds for a call without work on data: a transaction, on a slow disk too. */
const DEADLINE = 5 * 60_000;

const OPTIONS: grpc.ClientOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE,
  'grpc.max_send_message_length': MAX_MESSAGE,
  // grpc-js sends nothing twice and uses no proxy.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

export interface CallOptions extends Call {
  /** The lease that holds what the call makes (containerd's `containerd-lease` header). */
  readonly lease?: string | undefined;
  /** Not given: the connection's. */
  readonly namespace?: string | undefined;
  /** Milliseconds; 0: no limit. Default: five minutes. */
  readonly deadline?: number;
}

/** The messages of an answer, one by one. */
export interface Incoming<T> {
  /** Undefined at the end. */
  next(): Promise<T | undefined>;
  /** Ends the call. */
  cancel(): void;
}

/** Both directions of Content.Write. */
export interface WriteCall {
  readonly stream: grpc.ClientDuplexStream<Buffer, Message<'WriteResponse'>>;
  /** Aborts when containerd answers nothing any more. */
  readonly signal: AbortSignal;
  /** Milliseconds for an answer. */
  readonly patience: number;
  /** The call has ended. */
  done(): void;
}

interface Ending {
  readonly signal: AbortSignal | undefined;
  /** The call has ended. */
  done(): void;
}

interface Beginning<R> {
  readonly path: string;
  encode(message: object): Buffer;
  decode(bytes: Buffer): R;
  readonly metadata: grpc.Metadata;
  readonly options: grpc.CallOptions;
}

export class Connection {
  readonly address: string;
  readonly namespace: string;
  readonly #client: grpc.Client;
  readonly #patience: Patience;
  readonly #liveness: Liveness;
  #reached = false;
  #isClosed = false;

  /** `address`: an absolute path, with or without `unix://`. The first call connects. */
  constructor(address: string, namespace: string, clock: Clock, patience: Patience = PATIENCE) {
    const path = address.replace(/^unix:(?:\/\/(?=\/))?/, '');
    if (!path.startsWith('/')) {
      throw new HawserError('InvalidArgument', `Cannot use the address ${address}: it is no absolute path`, {
        hint: 'Give the path of the socket, such as /run/containerd/containerd.sock',
      });
    }
    this.address = path;
    this.namespace = namespace;
    this.#patience = patience;
    this.#liveness = new Liveness(clock, patience, (call) =>
      this.call('version.v1.Version/Version', {}, call),
    );
    this.#client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), OPTIONS);
  }

  /** Every call from now on is FailedPrecondition. */
  close(): void {
    this.#isClosed = true;
    this.#liveness.stop();
    this.#client.close();
  }

  /** The error of a call, for people. */
  explain(err: unknown): HawserError {
    return fromStatus(err, { address: this.address, reached: this.#reached });
  }

  /** An abort cancels the call and rejects with the signal's reason. */
  async call<N extends keyof Calls>(
    name: N,
    request: Calls[N][0],
    opts: CallOptions = {},
  ): Promise<Calls[N][1]> {
    const { path, encode, decode, metadata, options } = this.#begin<Calls[N][1]>(name, opts);
    const { signal, done } = this.#ending(opts);
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        metadata,
        options,
        (err, response) => {
          stopListening();
          done();
          if (signal?.aborted === true) return reject(signal.reason);
          if (err !== null) return reject(this.explain(err));
          this.#reached = true;
          resolve(response as Calls[N][1]);
        },
      );
      const stopListening = onAbort(signal, () => call.cancel());
    });
  }

  stream<N extends keyof Streams>(
    name: N,
    request: Streams[N][0],
    opts: CallOptions = {},
  ): Incoming<Streams[N][1]> {
    const { path, encode, decode, metadata, options } = this.#begin<Streams[N][1]>(name, opts);
    const { signal, done } = this.#ending(opts);
    const call = this.#client.makeServerStreamRequest(path, encode, decode, request, metadata, options);
    const cancel = () => call.cancel();
    const stopListening = onAbort(signal, cancel);
    // The iterator below gets the error; one after the iterator's end would end the process without a listener.
    for (const event of ['error', 'end', 'close']) {
      call.on(event, () => {
        stopListening();
        done();
      });
    }
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<Streams[N][1]>;
    return {
      cancel,
      next: async () => {
        let late = false;
        const timer = startTimer(this.#patience.message, () => {
          late = true;
          cancel();
        });
        try {
          const { done, value } = await messages.next();
          signal?.throwIfAborted();
          return done === true ? undefined : value;
        } catch (err) {
          signal?.throwIfAborted();
          throw late ? noAnswer(this.#patience.message) : this.explain(err);
        } finally {
          clearTimeout(timer);
        }
      },
    };
  }

  /** Content.Write, for write-stream.ts: encoded requests and decoded responses, both ways at once. */
  write(lease: string | undefined): WriteCall {
    const name = 'content.v1.Content/Write';
    const opts = { lease, deadline: 0 };
    const { path, decode, metadata, options } = this.#begin<Message<'WriteResponse'>>(name, opts);
    const { signal, done } = this.#watched();
    const encoded = (bytes: Buffer) => bytes;
    const stream = this.#client.makeBidiStreamRequest(path, encoded, decode, metadata, options);
    return { stream, signal, done, patience: this.#patience.message };
  }

  /** The signal that ends a call. One without a time limit is also ended when containerd answers nothing any more. */
  #ending({ signal, deadline }: CallOptions): Ending {
    return deadline === 0 ? this.#watched(signal) : { signal, done: () => {} };
  }

  #watched(signal?: AbortSignal): Ending & { readonly signal: AbortSignal } {
    const stop = new AbortController();
    const unlink = linkAbort(signal, stop);
    const leave = this.#liveness.join((reason) => stop.abort(reason));
    const done = () => {
      unlink();
      leave();
    };
    return { signal: stop.signal, done };
  }

  /** The parts that every call has. Throws the reason of an aborted signal; FailedPrecondition once the connection has been closed. */
  #begin<R>(
    name: MethodName,
    { lease, namespace = this.namespace, deadline = DEADLINE, signal }: CallOptions,
  ): Beginning<R> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw closedStore();
    const { path, encode, decode } = methodOf(name);
    const metadata = new grpc.Metadata();
    metadata.set('containerd-namespace', namespace);
    if (lease !== undefined) metadata.set('containerd-lease', headerValue(lease));
    const options = deadline === 0 ? {} : { deadline: Date.now() + deadline };
    return { path, encode, decode: decode as Beginning<R>['decode'], metadata, options };
  }
}

/** `ms`: how long was waited. */
export function noAnswer(ms: number): HawserError {
  return new HawserError('Unavailable', `containerd has not answered for ${Math.round(ms / 1000)} s`, {
    hint: 'Its disk may hang or be slow: see its log (journalctl -u containerd). What was fetched is kept',
  });
}

function headerValue(lease: string): string {
  if (/^[\x20-\x7e]+$/.test(lease)) return lease;
  throw new HawserError('InvalidArgument', `Cannot use the lease "${lease}": containerd takes ASCII only`);
}
