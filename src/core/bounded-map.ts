/** A map of at most `limit` entries: the entry that was used longest ago makes room for a new one. */
export class BoundedMap<K, V> {
  readonly #limit: number;
  /** In the order of use, the newest last. */
  readonly #entries = new Map<K, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  /** Counts as a use. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#limit) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, value);
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  /** Drops the entries of which `is` holds. */
  drop(is: (value: V) => boolean): void {
    for (const [key, value] of this.#entries) if (is(value)) this.#entries.delete(key);
  }
}
