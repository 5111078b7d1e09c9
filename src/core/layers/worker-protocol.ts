/**
 * What passes between the main thread and a worker: plain data, one call at a time, checked on both sides.
 *
 * A call is aborted in two ways at once, for the worker may wait or may be busy: by a message, and by its number in shared
 * memory (`workerData`, one Int32), which synchronous work looks at through its signal. It answers then as to any call.
 */

import type { LayerRecord } from '../archive/layer-record.ts';
import type { Growing } from '../content/growing.ts';
import { type ErrorRecord, HawserError } from '../errors.ts';
import type { IdRange, OwnerPolicy } from '../users/owner-policy.ts';
import type { ApplyJob, ApplyResult, ApplyTimes, CopyJob, RebaseJob } from './workers.ts';

/** What each verb takes and gives. */
export interface Verbs {
  apply: { input: ApplyJob; output: ApplyResult };
  rebase: { input: RebaseJob; output: string | null };
  copyTree: { input: CopyJob; output: null };
  usage: { input: string; output: { readonly size: number; readonly inodes: number } };
  removeTree: { input: string; output: null };
  syncfs: { input: readonly string[]; output: null };
}

export type Verb = keyof Verbs;

/** Calls are numbered from 1 on. */
export type WorkerRequest = { [V in Verb]: { call: number; verb: V; input: Verbs[V]['input'] } }[Verb];

export interface WorkerAbort {
  readonly abort: number;
}

export type WorkerReply =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly output: Verbs[Verb]['output'] }
  | { readonly type: 'failed'; readonly error: ErrorRecord };

type Check<T> = (value: unknown) => value is T;

const isString: Check<string> = (value) => typeof value === 'string';
const isCount: Check<number> = (value): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isTime: Check<number> = (value): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isNull: Check<null> = (value) => value === null;
const isStrings: Check<readonly string[]> = (value) => Array.isArray(value) && value.every(isString);

function oneOf<T extends string>(...words: readonly T[]): Check<T> {
  return (value): value is T => words.some((word) => word === value);
}

function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value);
}

/** An object with these members and no others. */
function shape<T extends object>(members: { readonly [K in keyof T]-?: Check<T[K]> }): Check<T> {
  const names = Object.keys(members) as (keyof T & string)[];
  return (value): value is T => {
    if (typeof value !== 'object' || value === null) return false;
    const given = value as Record<string, unknown>;
    return (
      Object.keys(given).every((name) => Object.hasOwn(members, name)) &&
      names.every((name) => members[name](Object.hasOwn(given, name) ? given[name] : undefined))
    );
  };
}

/** Its directories are many, and were made by the other side's own code: only its outline is looked at. */
const isRecord: Check<LayerRecord> = shape<LayerRecord>({
  nodes: (value): value is LayerRecord['nodes'] => Array.isArray(value),
  guesses: (value): value is LayerRecord['guesses'] => Array.isArray(value),
});

const isGrowing: Check<Growing> = shape<Growing>({
  path: isString,
  gauge: (value): value is SharedArrayBuffer => value instanceof SharedArrayBuffer,
});

const isRange: Check<IdRange> = shape<IdRange>({ first: isCount, count: isCount });
const isRanges: Check<readonly IdRange[]> = (value) => Array.isArray(value) && value.every(isRange);
const isOwnerPolicy: Check<OwnerPolicy> = shape<OwnerPolicy>({
  mode: oneOf('keep', 'ours', 'record'),
  uids: isRanges,
  gids: isRanges,
});

const INPUTS: { readonly [V in Verb]: Check<Verbs[V]['input']> } = {
  apply: shape<ApplyJob>({
    blob: isString,
    growing: (value): value is Growing | null => value === null || isGrowing(value),
    blobSize: isCount,
    mediaType: isString,
    codec: oneOf('auto', 'native', 'portable'),
    root: isString,
    lowers: isStrings,
    mode: oneOf('overlay', 'flat', 'blind'),
    owner: optional(isOwnerPolicy),
    maxBytes: isCount,
    maxRatio: isCount,
  }),
  rebase: shape<RebaseJob>({
    root: isString,
    lowers: isStrings,
    mode: oneOf('overlay', 'flat'),
    record: isRecord,
  }),
  copyTree: shape<CopyJob>({ from: isString, to: isString }),
  usage: isString,
  removeTree: isString,
  syncfs: isStrings,
};

const OUTPUTS: { readonly [V in Verb]: Check<Verbs[V]['output']> } = {
  apply: shape<ApplyResult>({
    diffId: isString,
    size: isCount,
    entries: isCount,
    times: shape<ApplyTimes>({ wait: isTime, inflate: isTime, verify: isTime, apply: isTime }),
    warnings: isStrings,
    record: (value): value is LayerRecord | null => value === null || isRecord(value),
  }),
  rebase: (value): value is string | null => value === null || isString(value),
  copyTree: isNull,
  usage: shape<Verbs['usage']['output']>({ size: isCount, inodes: isCount }),
  removeTree: isNull,
  syncfs: isNull,
};

function malformed(what: string): HawserError {
  return new HawserError('Internal', `A worker ${what} is not of the form both sides agreed on`);
}

const isAbort: Check<WorkerAbort> = shape<WorkerAbort>({ abort: isCount });

/** In the worker. Throws Internal for anything else. */
export function parseRequest(value: unknown): WorkerRequest | WorkerAbort {
  if (isAbort(value)) return value;
  const { call, verb, input } = (value ?? {}) as { call?: unknown; verb?: Verb; input?: unknown };
  if (!isCount(call) || verb === undefined || !Object.hasOwn(INPUTS, verb) || !INPUTS[verb](input))
    throw malformed('request');
  return { call, verb, input } as WorkerRequest;
}

/** In the main thread, for a call of `verb`. Throws Internal for anything but a reply to it. */
export function parseReply(verb: Verb, value: unknown): WorkerReply {
  const reply = (value ?? {}) as Partial<Record<'type' | 'bytes' | 'output' | 'error', unknown>>;
  if (reply.type === 'progress' && isCount(reply.bytes)) return { type: 'progress', bytes: reply.bytes };
  if (reply.type === 'done' && OUTPUTS[verb](reply.output)) return { type: 'done', output: reply.output };
  if (reply.type === 'failed' && isErrorRecord(reply.error)) return { type: 'failed', error: reply.error };
  throw malformed('reply');
}

function isErrorRecord(value: unknown): value is ErrorRecord {
  const { kind, message } = (value ?? {}) as Partial<ErrorRecord>;
  return isString(kind) && isString(message);
}
