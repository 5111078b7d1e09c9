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
export const MAX_JSON_VALUES = 400_000;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * RFC 8259, without the freedoms in which readers differ: UTF-8 without a byte order mark, no duplicate keys, no lone
 * surrogates, nothing after the value. Numbers beyond a double become infinite. InvalidArgument, naming `what`.
 */
export function parseJson(bytes: Uint8Array, what: string): Json {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw new HawserError('InvalidArgument', `Cannot read ${what}: not valid UTF-8`, { cause });
  }
  if (text.startsWith('\ufeff')) {
    throw new HawserError('InvalidArgument', `Cannot read ${what}: it starts with a byte order mark`);
  }
  return new JsonParser(text, what).document();
}

class JsonParser {
  readonly #text: string;
  readonly #what: string;
  #at = 0;
  #values = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#error('trailing data');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_JSON_DEPTH) throw this.#error(`nested deeper than ${MAX_JSON_DEPTH}`);
    if (++this.#values > MAX_JSON_VALUES) throw this.#error(`more than ${MAX_JSON_VALUES} values`);
    this.#space();
    switch (this.#text[this.#at]) {
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
      if (this.#text[this.#at] !== '"') throw this.#error('expected a key');
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
    const text = this.#text;
    const start = this.#at;
    let escaped = false;
    for (let at = start + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return escaped ? this.#unescape(start) : text.slice(start + 1, at);
      }
      if (code < 0x20) break;
      if (code === 0x5c) {
        escaped = true;
        at++;
      }
    }
    throw this.#error('string without an end, or with a control character');
  }

  #unescape(start: number): string {
    let value: unknown;
    try {
      value = JSON.parse(this.#text.slice(start, this.#at));
    } catch {
      throw this.#error('bad escape in a string');
    }
    if (typeof value !== 'string' || !value.isWellFormed()) throw this.#error('lone surrogate in a string');
    return value;
  }

  #literal<T extends Json>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error('unexpected character');
    this.#at += word.length;
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null) {
      throw this.#error(this.#at < this.#text.length ? 'unexpected character' : 'unexpected end');
    }
    this.#at = NUMBER.lastIndex;
    return Number(found[0]);
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
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
