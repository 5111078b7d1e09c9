import type { Socket } from 'node:net';
import { startTimer, type Timer } from '../../core/async/timer.ts';
import type { HttpServerOptions } from '../../core/ports/http-server.ts';

/** Requests of a connection that may wait for the answers before their own. */
const MAX_WAITING = 32;

interface Connection {
  /** Requests that are being answered or wait: several may have come at once (pipelining, RFC 9112, section 9.3.2). */
  requests: number;
  /** Ends when all of them are answered. */
  answered: Promise<void>;
  timer: Timer | undefined;
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
    const connection: Connection = { requests: 0, answered: Promise.resolve(), timer: undefined };
    this.#open.set(socket, connection);
    this.#wait(socket, connection);
    socket.once('close', () => {
      clearTimeout(connection.timer);
      this.#open.delete(socket);
    });
  }

  /**
   * Runs `answer`, which never throws, once the requests before it on its connection are answered: one at a time, so that a client
   * has one file open, and its time limit counts while its own answer is sent. A connection with more than MAX_WAITING is closed.
   */
  inTurn(socket: Socket, answer: () => Promise<void>): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return void answer();
    if (connection.requests > MAX_WAITING) return void socket.destroy();
    connection.requests++;
    clearTimeout(connection.timer);
    connection.timer = undefined;
    connection.answered = connection.answered.then(answer).then(() => this.#done(socket));
  }

  #done(socket: Socket): void {
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
    connection.timer = startTimer(this.#limit, () => socket.destroy());
  }
}
