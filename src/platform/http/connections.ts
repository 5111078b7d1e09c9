import type { Socket } from 'node:net';
import type { HttpServerOptions } from '../../core/ports/http-server.ts';

/** The connections of a server: one that has no request in time is closed, whether its headers come slowly or not at all. */
export class Connections {
  readonly #limit: number;
  readonly #timers = new Map<Socket, ReturnType<typeof setTimeout> | undefined>();
  #stopped = false;

  constructor({ headersTimeout }: Pick<HttpServerOptions, 'headersTimeout'>) {
    this.#limit = headersTimeout;
  }

  add(socket: Socket): void {
    this.#wait(socket);
    socket.once('close', () => {
      clearTimeout(this.#timers.get(socket));
      this.#timers.delete(socket);
    });
  }

  /** A request has come. */
  busy(socket: Socket): void {
    clearTimeout(this.#timers.get(socket));
    this.#timers.set(socket, undefined);
  }

  /** The request is answered. */
  idle(socket: Socket): void {
    if (socket.destroyed) this.#timers.delete(socket);
    else if (this.#stopped) socket.end();
    else this.#wait(socket);
  }

  /** Closes those that have no request, and each of the others after its answer. */
  stop(): void {
    this.#stopped = true;
    for (const [socket, timer] of this.#timers) if (timer !== undefined) socket.end();
  }

  /** Closes all at once. */
  cut(): void {
    for (const socket of this.#timers.keys()) socket.destroy();
  }

  #wait(socket: Socket): void {
    clearTimeout(this.#timers.get(socket));
    this.#timers.set(
      socket,
      setTimeout(() => socket.destroy(), this.#limit),
    );
  }
}
