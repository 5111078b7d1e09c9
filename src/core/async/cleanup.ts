import { addNote, messageOf } from '../errors.ts';

/**
 * Runs `work`, then `clean`, however `work` ended. The first error is the error: a failure of `clean` after one of `work`
 * becomes a note of it. When only `clean` fails, the work is done: `late` is told, and nothing is thrown.
 */
export async function cleaningUp<T>(
  work: () => Promise<T>,
  clean: () => PromiseLike<void>,
  late: (failure: unknown) => PromiseLike<void> | void = () => {},
): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (err) {
    await attempt(clean, (failure) => addNote(err, messageOf(failure)));
    throw err;
  }
  await attempt(clean, late);
  return result;
}

async function attempt(
  clean: () => PromiseLike<void>,
  failed: (failure: unknown) => PromiseLike<void> | void,
): Promise<void> {
  try {
    await clean();
  } catch (failure) {
    await failed(failure);
  }
}

/**
 * Cleans up after `err` and returns `err`, to be thrown; a failure of `clean` becomes a note of `err`.
 *
 *     throw await cleanedUp(err, () => file.close());
 */
export async function cleanedUp<E>(err: E, clean: () => PromiseLike<unknown>): Promise<E> {
  await attempt(
    async () => void (await clean()),
    (failure) => addNote(err, messageOf(failure)),
  );
  return err;
}
