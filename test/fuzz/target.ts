/** What a fuzz target is, and how findings of the common kinds of input are made small and printed. */
import { Buffer } from 'node:buffer';
import { isKind, type Kind, messageOf } from '../../src/core/errors.ts';
import type { Next } from './random.ts';

export interface Target<I> {
  readonly name: string;
  /** The same choices give the same input. */
  generate(next: Next): I;
  /** Throws when the code under test does what it must not: that is a finding. */
  execute(input: I): void | Promise<void>;
  /** Smaller inputs, those that leave out most first. */
  shrink(input: I): Iterable<I>;
  /** For a person, and to make a test of. */
  show(input: I): string;
  close?(): void;
}

/** A target whatever its input is. */
export type AnyTarget = Target<unknown>;

export type Simple<I> = Pick<Target<I>, 'name' | 'generate' | 'execute' | 'close'>;

export function bytesTarget(target: Simple<Uint8Array>): AnyTarget {
  const show = (input: Uint8Array): string => `base64 ${Buffer.from(input).toString('base64')}`;
  return { ...target, shrink: shrinkBytes, show } as AnyTarget;
}

export function textTarget(target: Simple<string>): AnyTarget {
  return { ...target, shrink: shrinkText, show: (input: string) => JSON.stringify(input) } as AnyTarget;
}

function* cuts(length: number): Generator<readonly [number, number]> {
  for (let size = length; size >= 1; size = size > 512 ? Math.ceil(size / 1024) * 512 : size >> 1) {
    for (let at = 0; at < length; at += size) yield [at, Math.min(length, at + size)];
  }
}

/** Pieces left out, whole tar blocks first; then bytes made zero. */
export function* shrinkBytes(input: Uint8Array): Generator<Uint8Array> {
  for (const [from, to] of cuts(input.length)) {
    const out = new Uint8Array(input.length - (to - from));
    out.set(input.subarray(0, from));
    out.set(input.subarray(to), from);
    yield out;
  }
  for (const [from, to] of cuts(input.length)) {
    if (input.subarray(from, to).every((byte) => byte === 0)) continue;
    yield new Uint8Array(input).fill(0, from, to);
  }
}

export function* shrinkText(input: string): Generator<string> {
  for (const [from, to] of cuts(input.length)) yield input.slice(0, from) + input.slice(to);
}

/** Elements left out. */
export function* shrinkList<T>(input: readonly T[]): Generator<T[]> {
  for (const [from, to] of cuts(input.length)) {
    if (to - from < input.length) yield [...input.slice(0, from), ...input.slice(to)];
  }
}

export type Outcome<T> = { readonly value: T } | { readonly error: string };

/** What `work` gives, or the error it may end with, as text. Any other error is a finding. */
export function outcome<T>(allowed: readonly Kind[], work: () => T): Outcome<T> {
  try {
    return { value: work() };
  } catch (err) {
    return { error: permitted(err, allowed) };
  }
}

export async function outcomeOf<T>(allowed: readonly Kind[], work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (err) {
    return { error: permitted(err, allowed) };
  }
}

/** `Kind: message` of an error that bad input may cause. Messages must be for people: bounded, without control characters. */
function permitted(err: unknown, allowed: readonly Kind[]): string {
  if (!(err instanceof Error) || err.name !== 'HawserError' || !isKind(err, ...allowed)) throw err;
  const message = messageOf(err);
  if (message.length > 20_000) throw new Finding(`a message of ${message.length} characters`, err);
  if (/[\u0000-\u001f\u007f-\u009f]/.test(message))
    throw new Finding(`control characters in the message ${JSON.stringify(message)}`, err);
  return `${(err as Error & { kind?: string }).kind}: ${message}`;
}

export class Finding extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'Finding';
  }
}

/** For differences between two readings of one input. */
export function same(what: string, a: unknown, b: unknown): void {
  const [left, right] = [JSON.stringify(a, replacer), JSON.stringify(b, replacer)];
  if (left === right) return;
  let at = 0;
  while (left?.[at] === right?.[at]) at++;
  const from = Math.max(0, at - 200);
  throw new Finding(`${what}\n one: ${left?.slice(from, at + 300)}\n two: ${right?.slice(from, at + 300)}`);
}

function replacer(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return [...value];
  return value;
}
