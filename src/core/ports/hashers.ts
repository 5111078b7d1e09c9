/** What digests are made by. */
export type HashName = 'sha256' | 'sha384' | 'sha512';

/** Incremental. After `digest` no call may follow. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex. */
  digest(): string;
}

export interface Hashers {
  create(name: HashName): Hasher;
}
