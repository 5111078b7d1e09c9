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
