/** One connection to a containerd. Each call names the namespace and ends with its signal. */

import grpc from '@grpc/grpc-js';
import { onAbort } from '../../core/async/abort.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { type MethodName, methodOf } from './codec.ts';
import { fromStatus } from './errors.ts';
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

export type WriteCallStream = grpc.ClientDuplexStream<Buffer, Message<'WriteResponse'>>;

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
  #reached = false;

  /** `address`: an absolute path, with or without `unix://`. The first call connects. */
  constructor(address: string, namespace: string) {
    const path = address.replace(/^unix:(?:\/\/(?=\/))?/, '');
    if (!path.startsWith('/')) {
      throw new HawserError('InvalidArgument', `Cannot use the address ${address}: it is no absolute path`, {
        hint: 'Give the path of the socket, such as /run/containerd/containerd.sock',
      });
    }
    this.address = path;
    this.namespace = namespace;
    this.#client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), OPTIONS);
  }

  close(): void {
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
    const { signal } = opts;
    const { path, encode, decode, metadata, options } = this.#begin<Calls[N][1]>(name, opts);
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
    const { signal } = opts;
    const { path, encode, decode, metadata, options } = this.#begin<Streams[N][1]>(name, opts);
    const call = this.#client.makeServerStreamRequest(path, encode, decode, request, metadata, options);
    const cancel = () => call.cancel();
    const stopListening = onAbort(signal, cancel);
    // The iterator below gets the error; one after the iterator's end would end the process without a listener.
    call.on('error', () => {});
    call.on('close', stopListening);
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<Streams[N][1]>;
    return {
      cancel,
      next: async () => {
        try {
          const { done, value } = await messages.next();
          signal?.throwIfAborted();
          return done === true ? undefined : value;
        } catch (err) {
          signal?.throwIfAborted();
          throw this.explain(err);
        }
      },
    };
  }

  /** Content.Write, for write-stream.ts: encoded requests and decoded responses, both ways at once. */
  write(opts: CallOptions): WriteCallStream {
    const name = 'content.v1.Content/Write';
    const { path, decode, metadata, options } = this.#begin<Message<'WriteResponse'>>(name, {
      ...opts,
      deadline: 0,
    });
    return this.#client.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, decode, metadata, options);
  }

  /** The parts that every call has. Throws the reason of an aborted signal. */
  #begin<R>(name: MethodName, { lease, deadline = DEADLINE, signal }: CallOptions): Beginning<R> {
    signal?.throwIfAborted();
    const { path, encode, decode } = methodOf(name);
    const metadata = new grpc.Metadata();
    metadata.set('containerd-namespace', this.namespace);
    if (lease !== undefined) metadata.set('containerd-lease', headerValue(lease));
    const options = deadline === 0 ? {} : { deadline: Date.now() + deadline };
    return { path, encode, decode: decode as Beginning<R>['decode'], metadata, options };
  }
}

function headerValue(lease: string): string {
  if (/^[\x20-\x7e]+$/.test(lease)) return lease;
  throw new HawserError('InvalidArgument', `Cannot use the lease "${lease}": containerd takes ASCII only`);
}
