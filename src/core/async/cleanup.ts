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
  try {
    await clean();
  } catch (failure) {
    await late(failure);
  }
  return result;
}

/**
 * As `cleaningUp`, but when only `close` fails, that is the failure: closing may be the first to tell that bytes are lost, or
 * leave what others will meet.
 */
export async function closingAfter<T>(work: () => Promise<T>, close: () => PromiseLike<void>): Promise<T> {
  return await cleaningUp(work, close, (failure) => {
    throw failure;
  });
}

/** Runs `work` with what `opening` opens, and closes it, as `closingAfter` does. */
export async function withOpen<F extends { close(): Promise<void> }, T>(
  opening: Promise<F>,
  work: (opened: F) => Promise<T>,
): Promise<T> {
  const opened = await opening;
  return await closingAfter(
    () => work(opened),
    () => opened.close(),
  );
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
