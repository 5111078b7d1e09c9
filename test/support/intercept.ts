/** Calls, of system calls or another role, that a test looks at or makes fail. */

/**
 * The same calls, with `hook` run before each: what it throws is what the call throws. Of system calls, `makeFiles` is left out: each
 * call that it stands for is made.
 */
export function intercept<T extends object>(
  role: T,
  hook: (call: keyof T, args: readonly never[]) => void,
): T {
  return new Proxy(role, {
    get(target, name) {
      const key = name as keyof T;
      const value = target[key];
      if (name === 'makeFiles') return undefined;
      if (typeof value !== 'function') return value;
      return (...args: never[]): unknown => {
        hook(key, args);
        return (value as unknown as (...all: never[]) => unknown).apply(target, args);
      };
    },
  });
}
