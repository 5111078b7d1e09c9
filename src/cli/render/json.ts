import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { ProgressEvent } from '../../core/progress/events.ts';
import { goJson, type Json } from './go-json.ts';
import { redact } from './text.ts';

/** Raised when a member changes its meaning or goes; new members and types may come without. */
const VERSION = 1;
/** Milliseconds between two offsets of one blob or layer. */
const INTERVAL = 100;

/** What a command adds to the events of the transfer. */
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
    };

/** One line, without newline: `{"v":1,"type":...}`. Descriptors are cut to mediaType, digest and size. */
export function eventLine(event: ProgressEvent | FinalEvent): string {
  const members: Record<string, Json> = { v: VERSION };
  for (const [key, value] of Object.entries(event)) {
    if (value === undefined) continue;
    if (typeof value === 'object') members[key] = 'digest' in value ? descriptor(value) : { ...value };
    else members[key] = typeof value === 'string' ? redact(value) : value;
  }
  return goJson(members);
}

function descriptor({ mediaType, digest, size }: Descriptor): Json {
  return { mediaType, digest, size };
}

/** Lets every change of status pass, and offsets ten times a second. */
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
