import { visible } from '../bytes.ts';
import { HawserError } from '../errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** Without a prototype: a key such as `__proto__` is a key like any other. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Deeper nesting is refused. */
export const MAX_JSON_DEPTH = 128;
/** More values are refused: each takes memory many times its text, an empty object 200 bytes for its three. */
export const MAX_JSON_VALUES = 100_000;

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf];
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * RFC 8259, without the freedoms in which readers differ: UTF-8 without a byte order mark, no duplicate keys, no lone
 * surrogates, nothing after the value. Numbers beyond a double become infinite. InvalidArgument, naming `what` and the byte. The bytes
 * are read as they are: as one text they would take their length again, or twice that.
 */
export function parseJson(bytes: Uint8Array, what: string): Json {
  if (BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte)) {
    throw new HawserError('InvalidArgument', `Cannot read ${what}: it starts with a byte order mark`);
  }
  return new JsonParser(bytes, what).document();
}

class JsonParser {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#bytes.length) throw this.#error('trailing data');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_JSON_DEPTH) throw this.#error(`nested deeper than ${MAX_JSON_DEPTH}`);
    if (++this.#values > MAX_JSON_VALUES) throw this.#error(`more than ${MAX_JSON_VALUES} values`);
    this.#space();
    switch (String.fromCharCode(this.#bytes[this.#at] ?? 0)) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#literal('true', true);
      case 'f':
        return this.#literal('false', false);
      case 'n':
        return this.#literal('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    const out: Record<string, Json> = Object.create(null);
    this.#at++;
    if (this.#take('}')) return out;
    do {
      this.#space();
      if (this.#bytes[this.#at] !== QUOTE) throw this.#error('expected a key');
      const key = this.#string();
      if (key in out) throw this.#error(`duplicate key ${visible(JSON.stringify(key.slice(0, 80)))}`);
      if (!this.#take(':')) throw this.#error('expected ":"');
      out[key] = this.#value(depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#error('expected "," or "}"');
    return out;
  }

  #array(depth: number): Json[] {
    const out: Json[] = [];
    this.#at++;
    if (this.#take(']')) return out;
    do out.push(this.#value(depth + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#error('expected "," or "]"');
    return out;
  }

  #string(): string {
    const bytes = this.#bytes;
    const start = this.#at;
    let escaped = false;
    for (let at = start + 1; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return escaped ? this.#unescape(start) : this.#text(start + 1, at);
      }
      if (byte < 0x20) break;
      if (byte === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    this.#text(start, bytes.length);
    throw this.#error('string without an end, or with a control character');
  }

  #unescape(start: number): string {
    const text = this.#text(start, this.#at);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#error('bad escape in a string');
    }
    if (typeof value !== 'string' || !value.isWellFormed()) throw this.#error('lone surrogate in a string');
    return value;
  }

  #text(start: number, end: number): string {
    try {
      return decoder.decode(this.#bytes.subarray(start, end));
    } catch (cause) {
      throw new HawserError('InvalidArgument', `Cannot read ${this.#what}: not valid UTF-8`, { cause });
    }
  }

  #literal<T extends Json>(word: string, value: T): T {
    for (let at = 0; at < word.length; at++) {
      if (this.#bytes[this.#at + at] !== word.charCodeAt(at)) throw this.#error('unexpected character');
    }
    this.#at += word.length;
    return value;
  }

  #number(): number {
    let end = this.#at;
    while (isOfNumber(this.#bytes[end])) end++;
    const found = NUMBER.exec(this.#text(this.#at, end));
    if (found === null) {
      throw this.#error(this.#at < this.#bytes.length ? 'unexpected character' : 'unexpected end');
    }
    this.#at += found[0].length;
    return Number(found[0]);
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#bytes[this.#at] !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const code = this.#bytes[this.#at];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #error(why: string): HawserError {
    return new HawserError(
      'InvalidArgument',
      `Cannot read ${this.#what}: not valid JSON: ${why} at ${this.#at}`,
    );
  }
}

/** A digit, or one of `+-.eE`. */
function isOfNumber(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || [0x2b, 0x2d, 0x2e, 0x45, 0x65].includes(byte);
}
