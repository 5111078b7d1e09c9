/** The sum of a transfer's events: the rows of the display. */
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { BlobStatus, ProgressEvent } from '../../core/progress/events.ts';
import { waitingLine } from './plain.ts';

export interface BlobRow {
  readonly size: number;
  status: BlobStatus;
  offset: number;
  /** The offset at which this run began: bytes of earlier runs are not counted as fetched. */
  start: number | undefined;
}

export interface UnpackRow {
  readonly platform: string;
  readonly target: string;
  /** Indices of the layers that are unpacked. */
  readonly ready: Set<number>;
  count: number;
  /** The layer that is being unpacked: its index and the share of its blob that is consumed. */
  current: { readonly index: number; readonly share: number } | undefined;
  chainId: string | undefined;
}

export interface ProgressState {
  name: string;
  root: Descriptor | undefined;
  /** In the order first seen, which is the order shown. */
  readonly blobs: Map<string, BlobRow>;
  readonly unpacks: UnpackRow[];
  syncing: boolean;
  /** The line that says why no request is made at the moment. */
  waiting: string | undefined;
}

export function newState(): ProgressState {
  return { name: '', root: undefined, blobs: new Map(), unpacks: [], syncing: false, waiting: undefined };
}

function newUnpack(platform: string, target: string): UnpackRow {
  return { platform, target, ready: new Set(), count: 0, current: undefined, chainId: undefined };
}

/** Applies one event to the state, in place. A case for each type of event. */
export function advance(state: ProgressState, event: ProgressEvent): void {
  switch (event.type) {
    case 'resolving':
      state.name = event.name;
      break;
    case 'resolved':
      state.name = event.name;
      state.root = event.root;
      state.waiting = undefined;
      break;
    case 'blob':
      advanceBlob(state, event.key, event);
      if (event.status !== 'waiting') state.waiting = undefined;
      break;
    case 'unpacking':
      state.unpacks.push(newUnpack(event.platform, event.target));
      break;
    case 'layer':
      advanceLayer(state, event);
      break;
    case 'unpacked': {
      const row = state.unpacks.findLast((one) => one.platform === event.platform);
      if (row) Object.assign(row, { chainId: event.chainId, current: undefined });
      break;
    }
    case 'syncing':
      state.syncing = true;
      break;
    case 'recorded':
      state.syncing = false;
      break;
    case 'waiting':
      state.waiting = waitingLine(event);
      return;
    case 'retry':
    case 'stages':
    case 'span':
    case 'warning':
      return;
  }
}

function advanceBlob(
  state: ProgressState,
  key: string,
  event: Extract<ProgressEvent, { type: 'blob' }>,
): void {
  const { status, offset, desc } = event;
  const row = state.blobs.get(key);
  if (row === undefined) {
    const start = status === 'downloading' ? offset : undefined;
    state.blobs.set(key, { size: desc.size, status, offset, start });
    return;
  }
  // A blob with several parents is announced once for each: a known one does not go back to waiting.
  if (status === 'waiting') return;
  if (status === 'downloading') row.start = Math.min(row.start ?? offset, offset);
  if (status === 'exists' && row.status === 'done') return;
  row.status = status;
  row.offset = offset;
}

function advanceLayer(state: ProgressState, event: Extract<ProgressEvent, { type: 'layer' }>): void {
  const row = state.unpacks.at(-1);
  if (row === undefined) return;
  row.count = event.count;
  if (event.status === 'extracting') {
    row.current = { index: event.index, share: event.desc.size > 0 ? event.offset / event.desc.size : 1 };
    return;
  }
  row.ready.add(event.index);
  if (row.current?.index === event.index) row.current = undefined;
}

/** Bytes that this run fetched. */
export function fetchedBytes(state: ProgressState): number {
  let sum = 0;
  for (const row of state.blobs.values()) {
    if (row.status === 'done') sum += row.size - (row.start ?? 0);
    else if (row.start !== undefined && row.status !== 'exists') sum += Math.max(0, row.offset - row.start);
  }
  return sum;
}
