import type { ByteString } from '../../core/bytes.ts';
import type { Bytes, Libc } from './libc.ts';

/** PATH_MAX, with its NUL. */
export const PATH_MAX = 4096;

/** A buffer that is used again for one C string after another. */
export class CString {
  readonly #bytes: Uint8Array;
  readonly #pinned: Bytes;

  constructor(libc: Libc, capacity: number = PATH_MAX) {
    this.#bytes = new Uint8Array(new ArrayBuffer(capacity));
    this.#pinned = libc.pin(this.#bytes);
  }

  /** The NUL-terminated bytes, good until the next `set`. `undefined` when they do not fit or `text` holds a NUL. */
  set(text: ByteString): Bytes | undefined {
    const bytes = this.#bytes;
    const length = text.length;
    if (length >= bytes.length) return undefined;
    for (let i = 0; i < length; i++) {
      const byte = text.charCodeAt(i);
      if (byte === 0 || byte > 255) return undefined;
      bytes[i] = byte;
    }
    bytes[length] = 0;
    return this.#pinned;
  }
}
