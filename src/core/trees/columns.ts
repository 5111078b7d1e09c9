/** Numbers and names in typed arrays, in pages: for tables of a million rows, without a copy when they grow. */
import { type ByteString, fromBytes } from '../bytes.ts';

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** 2^14 rows are a page. */
const BITS = 14;
const ROWS = 1 << BITS;

/** One number a row; 0 where none was set. */
export class Column<A extends Numbers> {
  readonly #make: new (
    length: number,
  ) => A;
  readonly #pages: A[] = [];

  constructor(make: new (length: number) => A) {
    this.#make = make;
  }

  get(row: number): number {
    return this.#pages[row >>> BITS]?.[row & (ROWS - 1)] ?? 0;
  }

  set(row: number, value: number): void {
    const index = row >>> BITS;
    for (let at = this.#pages.length; at <= index; at++) this.#pages.push(new this.#make(ROWS));
    const page = this.#pages[index];
    if (page !== undefined) page[row & (ROWS - 1)] = value;
  }
}

const PAGE = 1 << 18;

/** Names, one after another. One is at most a page long. */
export class Names {
  readonly #pages: Uint8Array[] = [];
  #end = 0;

  /** Bytes that are taken. */
  get bytes(): number {
    return this.#end;
  }

  /** Where the name is from now on. */
  add(name: ByteString): number {
    if (PAGE - (this.#end % PAGE) < name.length) this.#end = (Math.floor(this.#end / PAGE) + 1) * PAGE;
    const at = this.#end;
    const page = this.#page(at);
    for (let i = 0; i < name.length; i++) page[(at % PAGE) + i] = name.charCodeAt(i);
    this.#end += name.length;
    return at;
  }

  get(at: number, length: number): ByteString {
    if (length === 0) return '';
    return fromBytes(this.#page(at), at % PAGE, (at % PAGE) + length);
  }

  equals(at: number, length: number, name: ByteString): boolean {
    if (length !== name.length) return false;
    const page = this.#page(at);
    for (let i = 0; i < length; i++) if (page[(at % PAGE) + i] !== name.charCodeAt(i)) return false;
    return true;
  }

  #page(at: number): Uint8Array {
    const index = Math.floor(at / PAGE);
    const page = this.#pages[index] ?? new Uint8Array(PAGE);
    this.#pages[index] = page;
    return page;
  }
}
