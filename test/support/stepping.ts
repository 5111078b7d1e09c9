/** `target`, but `before` is called ahead of each of its methods that are named; what it throws is thrown in their place. */
export function stepping<T extends object>(
  target: T,
  methods: readonly (keyof T)[],
  before: (what: string) => void,
): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(object, key);
      if (typeof value !== 'function') return value;
      const bound = value.bind(object) as (...args: unknown[]) => unknown;
      if (!methods.includes(key as keyof T)) return bound;
      return (...args: unknown[]) => {
        before(String(key));
        return bound(...args);
      };
    },
  });
}
