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
  /** Whose platform it is, where there are many images. */
  readonly image: string | undefined;
  readonly platform: string;
  readonly target: string;
  /** Indices of the layers that are unpacked. */
  readonly ready: Set<number>;
  count: number;
  /** The layers that are being unpacked, by their indices: the share of each one's blob that is consumed. */
  readonly current: Map<number, number>;
  chainId: string | undefined;
}

/** Many images at once. */
export interface ImagesRow {
  readonly count: number;
  /** The names of those in work. */
  readonly open: Set<string>;
  done: number;
  failed: number;
}

export interface ProgressState {
  /** Blobs go to a registry. */
  readonly sends: boolean;
  name: string;
  root: Descriptor | undefined;
  /** Undefined: there is one image. */
  images: ImagesRow | undefined;
  /** In the order first seen, which is the order shown. */
  readonly blobs: Map<string, BlobRow>;
  readonly unpacks: UnpackRow[];
  syncing: boolean;
  /** Nothing more comes, after a failure too. */
  ended: boolean;
  /** The line that says why no request is made at the moment. */
  waiting: string | undefined;
}

export function newState(sends = false): ProgressState {
  return {
    sends,
    name: '',
    root: undefined,
    images: undefined,
    blobs: new Map(),
    unpacks: [],
    syncing: false,
    ended: false,
    waiting: undefined,
  };
}

function newUnpack(image: string | undefined, platform: string, target: string): UnpackRow {
  return { image, platform, target, ready: new Set(), count: 0, current: new Map(), chainId: undefined };
}

/** Applies one event to the state, in place. */
export function advance(state: ProgressState, event: ProgressEvent): void {
  advanceImages(state, event);
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
      state.unpacks.push(newUnpack(event.image, event.platform, event.target));
      break;
    case 'layer':
      advanceLayer(state, event);
      break;
    case 'unpacked': {
      const { platform, image } = event;
      const row = state.unpacks.findLast((one) => one.platform === platform && one.image === image);
      if (row) row.chainId = event.chainId;
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
      break;
    default:
      break;
  }
}

/** Which of many images are in work, and how many have ended. */
function advanceImages(state: ProgressState, event: ProgressEvent): void {
  const { image = '' } = event;
  if (event.type === 'images') state.images = { count: event.count, open: new Set(), done: 0, failed: 0 };
  const { images } = state;
  if (images === undefined) return;
  if (event.type === 'resolving') images.open.add(image);
  if ((event.type === 'recorded' || event.type === 'pushed') && images.open.delete(image)) images.done++;
  if (event.type === 'failed') {
    images.open.delete(image);
    images.failed++;
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
    const start = status === 'downloading' || status === 'uploading' ? offset : undefined;
    state.blobs.set(key, { size: desc.size, status, offset, start });
    return;
  }
  // A blob with several parents is announced once for each: a known one does not go back to waiting.
  if (status === 'waiting') return;
  if (status === 'downloading' || status === 'uploading') row.start = Math.min(row.start ?? offset, offset);
  // What was sent for one image is there for the next.
  if (row.status === 'done' && isHere({ status })) return;
  row.status = status;
  row.offset = offset;
}

/** Nothing of it had to come. */
export function isHere({ status }: Pick<BlobRow, 'status'>): boolean {
  return status === 'exists' || status === 'mounted';
}

function advanceLayer(state: ProgressState, event: Extract<ProgressEvent, { type: 'layer' }>): void {
  const row = state.unpacks.findLast((one) => one.image === event.image);
  if (row === undefined) return;
  row.count = event.count;
  if (event.status === 'extracting') {
    row.current.set(event.index, event.desc.size > 0 ? Math.min(1, event.offset / event.desc.size) : 1);
    return;
  }
  row.ready.add(event.index);
  row.current.delete(event.index);
}

/** Bytes that this run fetched, or sent. */
export function fetchedBytes(state: ProgressState): number {
  let sum = 0;
  for (const row of state.blobs.values()) {
    if (row.status === 'done') sum += row.size - (row.start ?? 0);
    else if (row.start !== undefined && !isHere(row)) sum += Math.max(0, row.offset - row.start);
  }
  return sum;
}
