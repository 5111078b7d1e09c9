import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { ProgressEvent } from '../../core/progress/events.ts';
import type { FailedImage } from '../views/failed-image.ts';
import { goJson, type Json } from './go-json.ts';
import { redact } from './text.ts';

/** Raised when a member is removed or changes its meaning; not for new members and types. */
const VERSION = 1;
/** The least milliseconds between two offsets of one blob or layer. */
const INTERVAL = 100;

/** The last event of a transfer, written by the command. */
export type FinalEvent =
  | {
      readonly type: 'done';
      readonly name: string;
      readonly digest: string;
      readonly bytes: number;
      readonly seconds: number;
    }
  | {
      readonly type: 'error';
      readonly kind: string;
      readonly message: string;
      readonly hint: string | undefined;
      /** What cleaning up met; absent when nothing. */
      readonly notes?: readonly string[] | undefined;
    }
  /** Of many images, in place of `done`. */
  | {
      readonly type: 'ended';
      readonly done: readonly {
        readonly name: string;
        readonly digest: string;
        /** What became of it, where more than one thing may. */
        readonly state?: string | undefined;
      }[];
      readonly failed: readonly FailedImage[];
      readonly bytes: number;
      readonly seconds: number;
    };

/** One line, without newline: `{"v":1,"type":...}`. Descriptors are cut to mediaType, digest and size. */
export function eventLine(event: ProgressEvent | FinalEvent): string {
  const members: Record<string, Json> = { v: VERSION };
  for (const [key, value] of Object.entries(event)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) members[key] = value.map(element);
    else if (typeof value === 'object') members[key] = 'digest' in value ? descriptor(value) : { ...value };
    else members[key] = typeof value === 'string' ? redact(value) : value;
  }
  return goJson(members);
}

function element(value: unknown): Json {
  if (typeof value !== 'object' || value === null) return redact(String(value));
  const texts = Object.entries(value).filter(([, text]) => text !== undefined);
  return Object.fromEntries(texts.map(([key, text]) => [key, redact(String(text))]));
}

function descriptor({ mediaType, digest, size }: Descriptor): Json {
  return { mediaType, digest, size };
}

/** Passes every change of status, and offsets at most ten times a second. */
export class JsonThrottle {
  readonly #last = new Map<string, { readonly status: string; readonly at: number }>();

  /** `now` in milliseconds. */
  pass(event: ProgressEvent, now: number): boolean {
    if (event.type !== 'blob' && event.type !== 'layer') return true;
    const key = event.type === 'blob' ? event.key : `layer ${event.chainId}`;
    const last = this.#last.get(key);
    if (last?.status === event.status && now - last.at < INTERVAL) return false;
    this.#last.set(key, { status: event.status, at: now });
    return true;
  }
}
