/** A list of images: what was read, and what could not be. */
import { HawserError, wrap } from '../errors.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';

/** An image that a list names. */
export interface Listed {
  /** Of an image that a lock pins: the name without, the digest with what the lock says. */
  readonly reference: Reference;
  /** The platforms that the list wants, as texts. Undefined: the list does not say. */
  readonly platforms?: readonly string[] | undefined;
  /** Where the image stands: `images.txt:3`. */
  readonly at: string;
}

export interface ImageList {
  /** In the order of the list; each image once. */
  readonly images: readonly Listed[];
  /** What cannot be read: a message each, with its place. */
  readonly errors: readonly HawserError[];
  /** What is left out on purpose, or has no effect. */
  readonly warnings: readonly string[];
}

/** The most images of one list. */
const MAX_IMAGES = 10_000;
/** The most errors kept of one list. */
const MAX_ERRORS = 100;

/** Collects what a list names. */
export class ListBuilder {
  readonly errors: HawserError[] = [];
  readonly warnings: string[] = [];
  readonly #images = new Map<string, Listed>();

  /** A reference as a list has it. One that cannot be parsed is an error of the list. */
  add(text: string, at: string, platforms?: readonly string[]): void {
    try {
      this.put({ reference: parseReference(text), platforms, at });
    } catch (err) {
      this.fail(at, err);
    }
  }

  /** An image that is named twice, for the same platforms, is taken once. */
  put(image: Listed): void {
    if (this.#images.size >= MAX_IMAGES) {
      throw new HawserError(
        'ResourceExhausted',
        `${image.at}: the list names more than ${MAX_IMAGES} images`,
        { hint: 'Split the list' },
      );
    }
    const { name, digest } = image.reference;
    const key = JSON.stringify([name, digest, image.platforms]);
    if (!this.#images.has(key)) this.#images.set(key, image);
  }

  refuse(at: string, why: string, hint?: string): void {
    this.#keep(new HawserError('InvalidArgument', `${at}: ${why}`, hint === undefined ? {} : { hint }));
  }

  fail(at: string, err: unknown): void {
    this.#keep(wrap(at, err));
  }

  #keep(err: HawserError): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push(err);
  }

  warn(at: string, message: string): void {
    if (this.warnings.length < MAX_ERRORS) this.warnings.push(`${at}: ${message}`);
  }

  done(): ImageList {
    return { images: [...this.#images.values()], errors: this.errors, warnings: this.warnings };
  }
}
