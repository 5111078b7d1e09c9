/**
 * containerd's filters (pkg/filters):
 *
 *     selectors := selector ("," selector)*
 *     selector  := fieldpath (operator value)?
 *     fieldpath := field ("." field)*
 *     field     := quoted | [A-Za-z0-9_-]+
 *     operator  := "==" | "!=" | "~="
 *     value     := quoted | [^\s,]+
 *
 * Selectors of one filter must all hold; of several filters one must. A selector without operator asks whether the
 * field is there. After `~=` a value may also be quoted by `/` or `|`.
 */

import type { Info, Labels } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import { FilterScanner, type FilterToken } from './filter-scanner.ts';

/** The value at a field path, or undefined when there is none. */
export type Fields = (path: readonly string[]) => string | undefined;
export type Filter = (fields: Fields) => boolean;

/** Passes what one of the filters passes; everything without filters. InvalidArgument in containerd's words. */
export function parseFilters(texts: readonly string[]): Filter {
  if (texts.length === 0) return () => true;
  const filters = texts.map(parseFilter);
  return (fields) => filters.some((filter) => filter(fields));
}

/** The empty filter passes everything. */
function parseFilter(text: string): Filter {
  if (text === '') return () => true;
  const parser = new FilterParser(text);
  const selectors = parser.selectors();
  return (fields) => selectors.every((selector) => selector(fields));
}

export function imageFields(image: Image): Fields {
  return ([head, ...rest]) => {
    if (head === 'name') return image.name;
    if (head === 'target' && rest[0] === 'digest') return image.target.digest;
    if (head === 'target' && rest[0] === 'mediatype') return image.target.mediaType || undefined;
    if (head === 'labels') return lookUp(image.labels, rest);
    if (head === 'annotations') return lookUp(image.target.annotations ?? {}, rest);
    return undefined;
  };
}

export function contentFields(info: Info): Fields {
  return ([head, ...rest]) => {
    if (head === 'digest') return info.digest;
    if (head === 'size') return String(info.size);
    if (head === 'labels') return lookUp(info.labels, rest);
    return undefined;
  };
}

/** Of a lease or a namespace: `id` or `name`, and labels. */
export function labelledFields(name: 'id' | 'name', id: string, labels: Labels): Fields {
  return ([head, ...rest]) => {
    if (head === name && rest.length === 0) return id;
    return head === 'labels' ? lookUp(labels, rest) : undefined;
  };
}

/** Of a snapshot: `name`, `parent`, `kind` (`active`, `view`, `committed`) and labels. */
export function snapshotFields(info: SnapshotFields): Fields {
  return ([head, ...rest]) => {
    if (head === 'labels') return lookUp(info.labels, rest);
    if (rest.length > 0) return undefined;
    if (head === 'name') return info.name;
    if (head === 'parent') return info.parent || undefined;
    return head === 'kind' ? info.kind.toLowerCase() : undefined;
  };
}

/** The part of the record of a snapshot that filters ask for. */
interface SnapshotFields {
  readonly name: string;
  readonly parent: string;
  readonly kind: string;
  readonly labels: Labels;
}

/** Of an ingest: `ref`. */
export function ingestFields({ ref }: { readonly ref: string }): Fields {
  return ([head, ...rest]) => (head === 'ref' && rest.length === 0 ? ref : undefined);
}

/** The rest of the path is one key, because label keys have dots. */
function lookUp(map: Readonly<Record<string, string>>, path: readonly string[]): string | undefined {
  const key = path.join('.');
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

class FilterParser {
  readonly #input: string;
  readonly #scanner: FilterScanner;

  constructor(input: string) {
    this.#input = input;
    this.#scanner = new FilterScanner(input);
  }

  selectors(): Filter[] {
    const found = [this.#selector()];
    for (;;) {
      const next = this.#scanner.peek();
      if (next === undefined) return found;
      if (next !== ',') throw this.#error(this.#scanner.position, `unexpected input: ${next}`);
      this.#scanner.scan();
      found.push(this.#selector());
    }
  }

  #selector(): Filter {
    const path = this.#fieldPath();
    const next = this.#scanner.peek();
    if (next === undefined || next === ',') return (fields) => fields(path) !== undefined;
    const operator = this.#operator();
    const want = this.#value(operator === '~=');
    if (operator === '==') return (fields) => fields(path) === want;
    if (operator === '!=') return (fields) => (fields(path) ?? '') !== want;
    const pattern = compile(want);
    return (fields) => pattern.test(fields(path) ?? '');
  }

  #fieldPath(): string[] {
    const path = [this.#field()];
    while (this.#scanner.peek() === '.') {
      this.#scanner.scan();
      path.push(this.#field());
    }
    return path;
  }

  #field(): string {
    const token = this.#scanner.scan();
    if (token.type === 'field') return token.text;
    if (token.type === 'quoted') return this.#unquote(token, false);
    throw this.#unexpected(token, 'expected field or quoted');
  }

  #operator(): string {
    const token = this.#scanner.scan();
    if (token.type !== 'operator') throw this.#unexpected(token, 'expected an operator ("=="|"!="|"~=")');
    if (token.text === '==' || token.text === '!=' || token.text === '~=') return token.text;
    throw this.#error(token.at, `unsupported operator "${token.text}"`);
  }

  #value(anyQuote: boolean): string {
    const token = this.#scanner.scan();
    if (token.type === 'value' || token.type === 'field') return token.text;
    if (token.type === 'quoted') return this.#unquote(token, anyQuote);
    throw this.#unexpected(token, 'expected value or quoted');
  }

  #unquote(token: FilterToken, anyQuote: boolean): string {
    if (!anyQuote && token.text[0] !== '"') throw this.#error(token.at, 'invalid quote encountered');
    const text = unquote(token.text);
    if (text === undefined) throw this.#error(token.at, 'unquoting failed: quote syntax error');
    return text;
  }

  #unexpected(token: FilterToken, expected: string): HawserError {
    return this.#error(token.at, token.type === 'illegal' ? token.text : expected);
  }

  #error(at: number, why: string): HawserError {
    const input = this.#input;
    const where =
      at < input.length
        ? `[${input.slice(0, at)} >|${input.slice(at, at + 1)}|< ${input.slice(at + 1)}]`
        : `[${input}]`;
    return new HawserError('InvalidArgument', `filters: parse error: ${where}: ${why}`, {
      hint: 'A filter looks like name==docker.io/library/alpine:latest, name~=alpine or labels."a.b/c"==d',
    });
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** A Go string literal in `"`, `/` or `|`; undefined when an escape is wrong. */
function unquote(quoted: string): string | undefined {
  const quote = quoted[0] ?? '';
  let valid = true;
  const text = quoted.slice(1, -1).replace(ESCAPED, (_, hex?: string, octal?: string, other = '') => {
    const character = hex || octal ? numbered(hex, octal) : other === quote ? quote : ESCAPES[other];
    valid &&= character !== undefined;
    return character ?? '';
  });
  return valid ? text : undefined;
}

const ESCAPED = /\\(?:(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|([0-7]{3})|([\s\S]?))/g;

/** The character of `x41`, `u0041`, `U00000041` or octal `101`; undefined beyond the largest. */
function numbered(hex: string | undefined, octal: string | undefined): string | undefined {
  const code = hex ? Number.parseInt(hex.slice(1), 16) : Number.parseInt(octal ?? '', 8);
  return code > (hex ? 0x10ffff : 0xff) ? undefined : String.fromCodePoint(code);
}

/** Go's syntax as far as JavaScript has the same; leading flags such as `(?i)` are understood. */
function compile(text: string): RegExp {
  const flagged = /^\(\?([ims]+)\)/.exec(text);
  try {
    return new RegExp(flagged ? text.slice(flagged[0].length) : text, `u${flagged?.[1] ?? ''}`);
  } catch (err) {
    throw new HawserError('InvalidArgument', `filters: cannot use the regular expression "${text}"`, {
      hint: 'Write it in the syntax of JavaScript; a flag may stand in front: (?i)',
      cause: err,
    });
  }
}
