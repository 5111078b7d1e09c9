import { connect } from 'node:net';
import { orAborted } from '../../core/async/abort.ts';
import { startTimer, type Timer } from '../../core/async/timer.ts';
import { bareHost, portOf } from '../http/authority.ts';

/**
 * Opens a TCP connection and closes it again: Deno's fetch has no limit of its own for connecting. Rejects with the
 * system's error, with `late()` after `ms`, or with the signal's reason.
 */
export async function dial(
  url: URL,
  ms: number,
  late: () => Error,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const socket = connect({ host: bareHost(url.hostname), port: portOf(url) });
  let timer: Timer | undefined;
  try {
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve()).once('error', reject);
      timer = startTimer(ms, () => reject(late()));
    });
    await orAborted(connected, signal);
  } finally {
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
  }
}
