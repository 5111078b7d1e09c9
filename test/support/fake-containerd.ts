/** A gRPC server on a unix socket that answers containerd's methods as a test says, and a Connection to it. */
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import { typesOf } from '../../src/backends/containerd/codec.ts';
import { Connection } from '../../src/backends/containerd/connection.ts';
import type { Patience } from '../../src/backends/containerd/liveness.ts';
import { STREAMS, WRITES } from '../../src/backends/containerd/proto.ts';
import { createClock } from '../../src/platform/process/clock.ts';
import { tempDir } from './tmp.ts';

type Message = Record<string, unknown>;

/** One call, as the server has it. */
export interface Served {
  readonly metadata: grpc.Metadata;
  /** Of a call with one request. */
  readonly request: Message;
  /** Of a call with many. */
  on(event: 'data', listener: (message: Message) => void): void;
  on(event: 'end' | 'cancelled', listener: () => void): void;
  write(message: Message): void;
  end(): void;
  emit(event: 'error', status: { readonly code: number; readonly details: string }): void;
}

/** By method, `content.v1.Content/Info`. Of calls with one response what is returned is answered, and a status that is thrown. */
export type Handlers = Readonly<Record<string, (call: Served) => Message | undefined>>;

export interface FakeContainerd extends AsyncDisposable {
  readonly socket: string;
  readonly connection: Connection;
  /** The server is gone, and all its connections. */
  kill(): void;
}

export function status(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details });
}

export async function fakeContainerd(handlers: Handlers, patience?: Patience): Promise<FakeContainerd> {
  const dir = tempDir();
  const socket = join(dir.path, 'sock');
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 << 20 });
  for (const [name, handler] of Object.entries(handlers)) add(server, name, handler);
  await new Promise<void>((resolve, reject) => {
    const listening = (err: Error | null) => (err === null ? resolve() : reject(err));
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), listening);
  });
  const connection = new Connection(socket, 'testing', createClock(), patience);
  return {
    socket,
    connection,
    kill: () => server.forceShutdown(),
    [Symbol.asyncDispose]: async () => {
      connection.close();
      server.forceShutdown();
      dir[Symbol.dispose]();
    },
  };
}

function add(server: grpc.Server, name: string, handler: Handlers[string]): void {
  const [service = '', method = ''] = `containerd.services.${name}`.split('/');
  const [request, response] = typesOf(name);
  const definition = {
    path: `/${service}/${method}`,
    requestStream: name in WRITES,
    responseStream: name in WRITES || name in STREAMS,
    requestDeserialize: (bytes: Buffer) => request.toObject(request.decode(bytes), { longs: Number }),
    requestSerialize: (message: Message) => Buffer.from(request.encode(message).finish()),
    responseSerialize: (message: Message) => Buffer.from(response.encode(message).finish()),
    responseDeserialize: (bytes: Buffer) => response.toObject(response.decode(bytes)),
  };
  const serve = (call: unknown, answer?: (err: unknown, message?: Message) => void): void => {
    try {
      const message = handler?.(call as Served);
      if (message !== undefined) answer?.(null, message);
    } catch (err) {
      if (answer === undefined) (call as Served).emit('error', err as grpc.StatusObject);
      else answer(err);
    }
  };
  server.addService({ [method]: definition } as unknown as grpc.ServiceDefinition, {
    [method]: serve as never,
  });
}
