/** One connection to a containerd: calls with its namespace, that end with their signals. */

import grpc from '@grpc/grpc-js';
import { onAbort } from '../../core/async/abort.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { type MethodName, methodOf } from './codec.ts';
import { fromStatus } from './errors.ts';
import type { Calls, Message, Streams } from './messages.ts';

/** containerd's own limit for a message, in bytes. grpc-js would take 4 MiB only. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** For a call that has little to do, milliseconds: transactions on a slow disk included. */
const DEADLINE = 5 * 60_000;

const OPTIONS: grpc.ClientOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE,
  'grpc.max_send_message_length': MAX_MESSAGE,
  // Nothing is sent twice behind our back, nor through a proxy.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

export interface CallOptions extends Call {
  /** In containerd's `containerd-lease` header: what the call makes is held by it. */
  readonly lease?: string | undefined;
  /** Milliseconds; 0: as long as it takes. Not given: five minutes. */
  readonly deadline?: number;
}

/** Messages as they come, one by one. */
export interface Incoming<T> {
  /** Undefined at the end. */
  next(): Promise<T | undefined>;
  /** Ends the call, if it has not ended. */
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

  /** `address`: an absolute path, with `unix://` before it or not. Nothing is dialled yet. */
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

  /** What went wrong with a call, for people. */
  explain(err: unknown): HawserError {
    return fromStatus(err, { address: this.address, reached: this.#reached });
  }

  /** The reason of the signal when it aborts. The call is cancelled then. */
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
    // Heard by the iterator below; without a listener of its own, one that comes after it would end the process.
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

  /** Content.Write: requests, encoded, and responses side by side, for write-stream.ts. */
  write(opts: CallOptions): WriteCallStream {
    const name = 'content.v1.Content/Write';
    const { path, decode, metadata, options } = this.#begin<Message<'WriteResponse'>>(name, {
      ...opts,
      deadline: 0,
    });
    return this.#client.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, decode, metadata, options);
  }

  /** What every call has. The reason of the signal when that has aborted. */
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
