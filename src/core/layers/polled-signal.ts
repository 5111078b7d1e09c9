/**
 * An AbortSignal for synchronous work, which no event reaches: `aborted` and `throwIfAborted` ask `isAborted` (cheap: it
 * is called for every entry of a layer), and `abort` tells those that wait for the event.
 */
export function polledSignal(
  isAborted: () => boolean,
  reason: () => unknown,
): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  const { signal } = controller;
  // `abort` itself may ask whether the signal is aborted (Deno's does), and must hear what is true so far.
  const told = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get ?? isAborted;
  let telling = false;
  const abort = () => {
    if (telling) return;
    telling = true;
    controller.abort(reason());
  };
  const look = (): boolean => {
    if (!telling && isAborted()) abort();
    return told.call(signal) as boolean;
  };
  Object.defineProperties(signal, {
    aborted: { get: look },
    throwIfAborted: {
      value: () => {
        if (look()) throw signal.reason;
      },
    },
  });
  return { signal, abort };
}
