/** The types of the messages of proto.ts: int64 as a number, a message that is not set as null, else what is unset as its default. */
import type { Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { CALLS, MESSAGES, STREAMS } from './proto.ts';

interface Scalars {
  string: string;
  bool: boolean;
  int32: number;
  enum: number;
  int64: number;
  bytes: Uint8Array;
  labels: Labels;
}

export type MessageName = keyof typeof MESSAGES;
type Fields<N extends MessageName> = (typeof MESSAGES)[N];
type TypeOf<F> = F extends readonly [number, infer T] ? T : never;

/** As it is read. */
export type Message<N extends MessageName> = {
  readonly [F in keyof Fields<N>]: Read<TypeOf<Fields<N>[F]>>;
};
type Read<T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends MessageName
    ? Message<T> | null
    : T extends `${infer E extends keyof Scalars}[]`
      ? readonly Scalars[E][]
      : T extends `${infer E extends MessageName}[]`
        ? readonly Message<E>[]
        : never;

/** As it is sent: every field of a request, and of the messages in it those that are to be set. */
export type Sent<N extends MessageName> = {
  readonly [F in keyof Fields<N>]: Write<TypeOf<Fields<N>[F]>>;
};
type Write<T> = T extends keyof Scalars
  ? Scalars[T]
  : T extends MessageName
    ? Partial<Sent<T>>
    : T extends `${infer E extends keyof Scalars}[]`
      ? readonly Scalars[E][]
      : T extends `${infer E extends MessageName}[]`
        ? readonly Partial<Sent<E>>[]
        : never;

type Methods = Readonly<Record<string, readonly [MessageName, MessageName]>>;
type Typed<M extends Methods> = { [N in keyof M]: [Sent<M[N][0]>, Message<M[N][1]>] };

/** Request and response of the methods that have one of each. */
export type Calls = Typed<typeof CALLS>;
/** Request and each response of the methods that answer with many. */
export type Streams = Typed<typeof STREAMS>;

/** WriteAction of content.proto. */
export const STAT = 0;
export const WRITE = 1;
export const COMMIT = 2;

/** Milliseconds since the epoch; 0 for a time that is not set (or Go's zero time, in the year 1). */
export function toMs(time: Message<'Timestamp'> | null): number {
  if (time === null || time.seconds < 0) return 0;
  return time.seconds * 1000 + Math.floor(time.nanos / 1e6);
}

/** A path of a mask is `labels.` and the key verbatim, dots and slashes included; masked but without a value is removal. */
export function labelMask(labels: Labels): Sent<'FieldMask'> {
  return { paths: Object.keys(labels).map((key) => `labels.${key}`) };
}

/** What must be in a response. */
export function need<T>(part: T | null, what: string): T {
  if (part !== null) return part;
  throw new HawserError('Internal', `containerd answered without ${what}`);
}
