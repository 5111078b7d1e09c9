import { findError, notesOf, toRecord } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { ProgressEvent } from '../../core/progress/events.ts';
import type { ErrorEvent, FinalEvent, RegistryFailure } from '../../core/progress/final-event.ts';
import { goJson, type Json } from './go-json.ts';
import { redact } from './text.ts';

/** Raised when a member is removed or changes its meaning; not for new members and types. */
const VERSION = 1;
/** The least milliseconds between two offsets of one blob or layer. */
const INTERVAL = 100;

/** One line, without newline: `{"v":1,"type":...}`. Descriptors are cut to mediaType, digest and size. */
export function eventLine(event: ProgressEvent | FinalEvent): string {
  const members: Record<string, Json | undefined> = { v: VERSION };
  for (const [key, value] of Object.entries(event)) {
    if (value === undefined) continue;
    members[key] = isDescriptor(value) ? descriptor(value) : element(value);
  }
  return goJson(members);
}

function element(value: unknown): Json | undefined {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((one) => element(one) ?? null);
  if (typeof value !== 'object' || value === null) return value as number | boolean | null | undefined;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, element(member)]));
}

function isDescriptor(value: unknown): value is Descriptor {
  return typeof value === 'object' && value !== null && 'mediaType' in value;
}

function descriptor({ mediaType, digest, size }: Descriptor): Json {
  return { mediaType, digest, size };
}

/** An error as the last event of a command. */
export function errorEvent(err: unknown): ErrorEvent {
  const { kind, message, hint } = toRecord(err);
  const notes = notesOf(err);
  return {
    ...{ type: 'error', kind, message, hint },
    notes: notes.length === 0 ? undefined : notes,
    registry: registryFailure(err),
  };
}

/** What the registry said, where that was the reason. */
export function registryFailure(err: unknown): RegistryFailure | undefined {
  const reason = findError(err)?.reason;
  if (reason?.type === 'status') return { status: reason.status, code: reason.code };
  return reason?.type === 'exchange' ? { code: reason.code } : undefined;
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
