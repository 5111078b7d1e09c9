/** System calls that a test looks at, or makes fail. */
import type { Syscalls } from '../../src/core/ports/syscalls.ts';

/** The same calls, with `hook` run before each: what it throws is what the call throws. */
export function intercept(
  sys: Syscalls,
  hook: (call: keyof Syscalls, args: readonly never[]) => void,
): Syscalls {
  return new Proxy(sys, {
    get(target, key: keyof Syscalls) {
      const value = target[key];
      if (typeof value !== 'function') return value;
      return (...args: never[]): unknown => {
        hook(key, args);
        return (value as (...all: never[]) => unknown).apply(target, args);
      };
    },
  });
}
