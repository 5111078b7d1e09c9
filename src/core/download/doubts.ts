import { linkAbort } from '../async/abort.ts';
import { HawserError, messageOf } from '../errors.ts';

/**
 * Lets the reader of a blob that still arrives say that its bytes cannot be right, long before their digest is known: they may
 * have been damaged on the way, so they are fetched anew.
 */
export class Doubts {
  #attempt: { readonly stop: AbortController; readonly anew: PromiseWithResolvers<boolean> } | undefined;
  #raised = false;

  /** An attempt of the fetch has ended because of a doubt. */
  get raised(): boolean {
    return this.#raised;
  }

  /** Resolves to true when the blob begins to arrive anew; to false when there is no attempt that a doubt could end. */
  async raise(reason: unknown): Promise<boolean> {
    const attempt = this.#attempt;
    if (attempt === undefined) return false;
    this.#raised = true;
    const message = `the bytes that came cannot be right: ${messageOf(reason)}`;
    attempt.stop.abort(new HawserError('DataLoss', message, { cause: reason }));
    return await attempt.anew.promise;
  }

  /** Runs one attempt to fetch all bytes; a doubt ends the attempt with DataLoss. `settle` must follow. */
  async during<T>(parent: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const unlink = linkAbort(parent, stop);
    this.#attempt = { stop, anew: Promise.withResolvers() };
    try {
      return await work(stop.signal);
    } finally {
      unlink();
    }
  }

  /** Ends the attempt; `anew`: its bytes are gone, and another attempt follows. */
  settle(anew: boolean): void {
    this.#attempt?.anew.resolve(anew);
    this.#attempt = undefined;
    this.#raised = false;
  }
}
