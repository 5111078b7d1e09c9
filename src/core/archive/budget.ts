import { HawserError } from '../errors.ts';

const MAX_ENTRIES = 10_000_000;
/** Directories that no entry lists count too: one deep name makes many, and each is kept in memory. */
const MAX_DIRECTORIES = 2_000_000;

/** Counts what one layer makes. Above a limit each method throws ResourceExhausted. */
export class Budget {
  entries = 0;
  readonly #maxBytes: number;
  #bytes = 0;
  #directories = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  entry(): void {
    this.entries++;
    if (this.entries > MAX_ENTRIES) throw exhausted(`a layer of more than ${MAX_ENTRIES} entries`);
  }

  directories(count: number): void {
    this.#directories += count;
    if (this.#directories > MAX_DIRECTORIES) {
      throw exhausted(`a layer of more than ${MAX_DIRECTORIES} directories`);
    }
  }

  /** Whether `content` would not throw. */
  fits(length: number): boolean {
    return this.#bytes + length <= this.#maxBytes;
  }

  /** Bytes of files, holes included. */
  content(length: number): void {
    this.#bytes += length;
    if (this.#bytes > this.#maxBytes) {
      throw exhausted(
        `the layer's files exceed the limit of ${this.#maxBytes} bytes`,
        'For an image that you trust, lift the limit with --max-layer-size=0',
      );
    }
  }
}

function exhausted(message: string, hint?: string): HawserError {
  return new HawserError('ResourceExhausted', message, { hint });
}
