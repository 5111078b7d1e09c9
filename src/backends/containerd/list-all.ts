import { HawserError } from '../../core/errors.ts';
import type { Incoming } from './connection.ts';

/** A namespace with more than this many of a thing is none that we could make sense of. */
const MAX_LISTED = 1_000_000;

/** What the messages of a list bring, a hundred or so each. */
export async function listAll<M, T>(messages: Incoming<M>, part: (message: M) => readonly T[]): Promise<T[]> {
  const found: T[] = [];
  for (let message = await messages.next(); message !== undefined; message = await messages.next()) {
    found.push(...part(message));
    if (found.length <= MAX_LISTED) continue;
    messages.cancel();
    throw new HawserError('ResourceExhausted', `containerd lists more than ${MAX_LISTED}`);
  }
  return found;
}
