/**
 * The messages between the main thread and a worker: plain data, one call at a time. Both sides are of one build, so that
 * neither checks the messages of the other.
 *
 * A call is aborted in two ways at once, as the worker may wait or may be busy: by a message, and by its number in shared
 * memory (`WorkerData.aborted`), which synchronous work reads through its signal. The worker answers an aborted call
 * like any other.
 */

import type { SharedWindows } from '../codec/windows.ts';
import type { ErrorRecord } from '../errors.ts';
import type { ApplyJob, ApplyResult, CheckJob, CopyJob, HeldDir, LayerCheck, RebaseJob } from './workers.ts';

/** What each verb takes and gives. */
export interface Verbs {
  apply: { input: ApplyJob; output: ApplyResult };
  rebase: { input: RebaseJob; output: string | null };
  check: { input: CheckJob; output: LayerCheck[] };
  copyTree: { input: CopyJob; output: null };
  usage: { input: string; output: { readonly size: number; readonly inodes: number } };
  removeTree: { input: string; output: null };
  syncfs: { input: readonly (string | HeldDir)[]; output: null };
}

export type Verb = keyof Verbs;

/** What a worker gets at its start. */
export interface WorkerData {
  /** One Int32: the number of the call to abort. */
  readonly aborted: SharedArrayBuffer;
  readonly windows: SharedWindows;
  /** Of the thread, from 1 on. */
  readonly number: number;
}

/** Calls are numbered from 1 on. */
export type WorkerRequest = { [V in Verb]: { call: number; verb: V; input: Verbs[V]['input'] } }[Verb];

export interface WorkerAbort {
  readonly abort: number;
}

export type WorkerReply =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly output: Verbs[Verb]['output'] }
  | { readonly type: 'failed'; readonly error: ErrorRecord };
