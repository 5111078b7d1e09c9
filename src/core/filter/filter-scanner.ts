/** The tokens of containerd's filters. */

export interface FilterToken {
  readonly type: 'field' | 'quoted' | 'value' | 'separator' | 'operator' | 'illegal' | 'other' | 'end';
  /** The text as written; for `illegal` the error. */
  readonly text: string;
  readonly at: number;
}

const FIELD = /[A-Za-z0-9_-]/;
const OPERATOR = /[=!~]/;
const QUOTE = /["/|]/;
const SEPARATOR = /[,.]/;
const SPACE = /\s/u;
/** Made when needed: the classes of Unicode take half a millisecond to compile. */
const value = (): RegExp => /[^\s,\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}]/u;
const ESCAPE = /^\\(?:[abfnrtv\\]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/;

export class FilterScanner {
  readonly #input: string;
  #next = 0;
  #last = 0;
  /** True after an operator: everything up to a comma or a blank is the value. */
  #value = false;

  constructor(input: string) {
    this.#input = input;
  }

  /** The start of the next token, which containerd names in errors. */
  get position(): number {
    return this.#next;
  }

  /** The next character, or undefined at the end. */
  peek(): string | undefined {
    const code = this.#input.codePointAt(this.#next);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  scan(): FilterToken {
    let ch = this.#take();
    while (ch !== undefined && SPACE.test(ch)) ch = this.#take();
    const at = this.#last;
    if (ch === undefined) return { type: 'end', text: '', at: this.#input.length };
    if (ch === '\0') return { type: 'illegal', text: 'unexpected null', at };
    if (QUOTE.test(ch)) return this.#quoted(ch, at);
    if (SEPARATOR.test(ch)) {
      this.#value = false;
      return this.#token('separator', at);
    }
    if (OPERATOR.test(ch)) {
      this.#run(OPERATOR);
      this.#value = true;
      return this.#token('operator', at);
    }
    if (this.#value) {
      this.#run(value());
      this.#value = false;
      return this.#token('value', at);
    }
    if (!FIELD.test(ch)) return { type: 'other', text: ch, at };
    this.#run(FIELD);
    return this.#token('field', at);
  }

  #take(): string | undefined {
    const ch = this.peek();
    if (ch === undefined) return undefined;
    this.#last = this.#next;
    this.#next += ch.length;
    return ch;
  }

  #run(wanted: RegExp): void {
    for (let ch = this.peek(); ch !== undefined && wanted.test(ch); ch = this.peek()) this.#take();
  }

  #token(type: FilterToken['type'], at: number): FilterToken {
    return { type, text: this.#input.slice(at, this.#next), at };
  }

  #quoted(quote: string, at: number): FilterToken {
    let illegal: string | undefined;
    for (let ch = this.#take(); ch !== quote; ch = this.#take()) {
      if (ch === undefined || ch === '\n') {
        return { type: 'illegal', text: illegal ?? 'quoted literal not terminated', at };
      }
      if (ch === '\\') illegal ??= this.#escape(quote);
    }
    return illegal === undefined ? this.#token('quoted', at) : { type: 'illegal', text: illegal, at };
  }

  #escape(quote: string): string | undefined {
    if (this.peek() === quote) {
      this.#take();
      return undefined;
    }
    const found = ESCAPE.exec(this.#input.slice(this.#next - 1, this.#next + 10));
    if (found) {
      this.#next += found[0].length - 1;
      return undefined;
    }
    return /[0-7xuU]/.test(this.peek() ?? '') ? 'illegal numeric escape sequence' : 'illegal escape sequence';
  }
}
