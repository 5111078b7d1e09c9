import { HawserError } from '../errors.ts';
import { cancelSignal, onAbort } from './abort.ts';

/**
 * An iteration whose `return` does not wait for a `next` that is running, as that of a generator would: the signal that `make` gets aborts, and
 * the `next` tells that the iteration is over. The signal aborts with `given`, too, with an error of kind Canceled, and at the end.
 */
export function endingIteration<T>(
  given: AbortSignal | undefined,
  make: (signal: AbortSignal) => AsyncGenerator<T>,
): AsyncGenerator<T, undefined, undefined> {
  return new EndingIteration(given, make);
}

class EndingIteration<T> implements AsyncGenerator<T, undefined, undefined> {
  readonly #given: AbortSignal | undefined;
  readonly #own = new AbortController();
  readonly #inner: AsyncGenerator<T>;
  #stopListening: (() => void) | undefined;
  #isOver = false;

  constructor(given: AbortSignal | undefined, make: (signal: AbortSignal) => AsyncGenerator<T>) {
    this.#given = given;
    this.#inner = make(this.#own.signal);
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#isOver) return { done: true, value: undefined };
    this.#stopListening ??= this.#listen();
    try {
      const { done, value } = await this.#inner.next();
      if (done !== true && !this.#isOver) return { done: false, value };
    } catch (err) {
      const wasEnded = this.#isOver;
      this.#end();
      if (!wasEnded) throw err;
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#end();
    await this.#inner.return(undefined);
    return { done: true, value: undefined };
  }

  async throw(err: unknown): Promise<IteratorResult<T, undefined>> {
    await this.return();
    throw err;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #listen(): () => void {
    const { signal, stop } = cancelSignal(this.#given);
    const stopListening = onAbort(signal, () => this.#own.abort(signal?.reason));
    return () => {
      stopListening();
      stop();
    };
  }

  #end(): void {
    this.#isOver = true;
    this.#stopListening?.();
    this.#own.abort(new HawserError('Canceled', 'The iteration has ended'));
  }
}
