/**
 * A byte string: one character (U+0000 to U+00FF) for each byte. Names in archives and in trees are byte strings: a name
 * that is not UTF-8 survives, is compared exactly, and can be a Map key.
 */
export type ByteString = string;

const utf8Decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** The same bytes as a plain Uint8Array. Of Node's Buffers, `slice` is a view and no copy: the ports give none. */
export function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/** Two lower-case hexadecimal digits for each byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Bytes to a byte string. */
export function fromBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): ByteString {
  let out = '';
  for (let at = start; at < end; at += 4096) {
    // A spread argument is ten times slower.
    out += String.fromCharCode.apply(
      null,
      bytes.subarray(at, Math.min(end, at + 4096)) as unknown as number[],
    );
  }
  return out;
}

/** A byte string to its bytes. */
export function toBytes(text: ByteString): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** A JavaScript string to the byte string of its UTF-8 form. */
export function fromUtf8(text: string): ByteString {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return fromBytes(utf8Encoder.encode(text));
  }
  return text;
}

/** A byte string for people: decoded as UTF-8, control characters as \xNN. */
export function display(text: ByteString): string {
  return visible(utf8Decoder.decode(toBytes(text)));
}

/** A string for people: control characters as \xNN. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
