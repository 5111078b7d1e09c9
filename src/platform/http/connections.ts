import type { Socket } from 'node:net';
import type { HttpServerOptions } from '../../core/ports/http-server.ts';

interface Connection {
  /** Requests that are being answered: several may have come at once. */
  requests: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The connections of a server: one that has no request in time is closed, whether its headers come slowly or not at all. */
export class Connections {
  readonly #limit: number;
  readonly #open = new Map<Socket, Connection>();
  #stopped = false;

  constructor({ headersTimeout }: Pick<HttpServerOptions, 'headersTimeout'>) {
    this.#limit = headersTimeout;
  }

  add(socket: Socket): void {
    const connection: Connection = { requests: 0, timer: undefined };
    this.#open.set(socket, connection);
    this.#wait(socket, connection);
    socket.once('close', () => {
      clearTimeout(connection.timer);
      this.#open.delete(socket);
    });
  }

  /** A request has come. */
  busy(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    connection.requests++;
    clearTimeout(connection.timer);
    connection.timer = undefined;
  }

  /** A request is answered. */
  idle(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined || --connection.requests > 0) return;
    if (this.#stopped) socket.end();
    else this.#wait(socket, connection);
  }

  /** Closes those that have no request, and each of the others after its answers. */
  stop(): void {
    this.#stopped = true;
    for (const [socket, { requests }] of this.#open) if (requests === 0) socket.end();
  }

  /** Closes all at once. */
  cut(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #wait(socket: Socket, connection: Connection): void {
    clearTimeout(connection.timer);
    connection.timer = setTimeout(() => socket.destroy(), this.#limit);
  }
}
