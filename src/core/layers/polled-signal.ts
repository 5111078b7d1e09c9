/**
 * An AbortSignal for synchronous work, which no event reaches: `aborted` and `throwIfAborted` call `isAborted` (which must be
 * cheap, as they run for every entry of a layer). The function `abort` sends the event to listeners.
 */
export function polledSignal(
  isAborted: () => boolean,
  reason: () => unknown,
): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  const { signal } = controller;
  // Deno's `abort` reads `aborted` itself, and must get the value that holds before it.
  const plainAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get ?? isAborted;
  let aborting = false;
  const abort = () => {
    if (aborting) return;
    aborting = true;
    controller.abort(reason());
  };
  const poll = (): boolean => {
    if (!aborting && isAborted()) abort();
    return plainAborted.call(signal) as boolean;
  };
  Object.defineProperties(signal, {
    aborted: { get: poll },
    throwIfAborted: {
      value: () => {
        if (poll()) throw signal.reason;
      },
    },
  });
  return { signal, abort };
}
