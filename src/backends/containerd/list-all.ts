import { HawserError } from '../../core/errors.ts';
import type { Incoming } from './connection.ts';

/** The most items of a list; more than any real namespace has. */
const MAX_LISTED = 1_000_000;

/** The items of all messages of a list. */
export async function listAll<M, T>(messages: Incoming<M>, part: (message: M) => readonly T[]): Promise<T[]> {
  const items: T[] = [];
  for (let message = await messages.next(); message !== undefined; message = await messages.next()) {
    items.push(...part(message));
    if (items.length <= MAX_LISTED) continue;
    messages.cancel();
    throw new HawserError('ResourceExhausted', `containerd lists more than ${MAX_LISTED}`);
  }
  return items;
}
