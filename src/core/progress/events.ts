import type { Descriptor } from '../oci/descriptor.ts';

/**
 * What happens, as data: the CLI renders it, `--progress=json` prints it one event a line, programs may watch it.
 * `key` is the ref key of a blob (`layer-sha256:...`). Bytes are plain numbers.
 */
export type ProgressEvent =
  | { readonly type: 'resolving'; readonly name: string }
  | { readonly type: 'resolved'; readonly name: string; readonly root: Descriptor }
  | {
      readonly type: 'blob';
      readonly key: string;
      readonly desc: Descriptor;
      readonly status: BlobStatus;
      readonly offset: number;
    }
  | {
      readonly type: 'retry';
      readonly key: string;
      readonly desc: Descriptor;
      readonly reason: string;
      readonly offset: number;
    }
  | { readonly type: 'unpacking'; readonly platform: string; readonly target: string }
  | {
      readonly type: 'layer';
      readonly desc: Descriptor;
      readonly index: number;
      readonly count: number;
      readonly chainId: string;
      readonly status: 'extracting' | 'extracted' | 'exists';
      /** Compressed bytes consumed. */
      readonly offset: number;
    }
  | {
      /**
       * Where the unpacking of a layer (with `chainId`) or the fetch of a blob (without) spent its time: told once, before it
       * is `extracted` or `done`.
       */
      readonly type: 'stages';
      readonly desc: Descriptor;
      readonly chainId?: string | undefined;
      /** Decompressed bytes, and entries of the archive. */
      readonly size?: number | undefined;
      readonly entries?: number | undefined;
      readonly times: StageTimes;
    }
  | {
      /** A step that has just ended and took `ms`: of a layer's unpacking with `chainId`, else of a blob, else of the image. */
      readonly type: 'span';
      readonly stage: Stage;
      readonly desc?: Descriptor | undefined;
      readonly chainId?: string | undefined;
      readonly ms: number;
    }
  | { readonly type: 'unpacked'; readonly platform: string; readonly chainId: string }
  | { readonly type: 'syncing' }
  | { readonly type: 'recorded'; readonly name: string; readonly target: string }
  /** No request is made for so long. `reason`: `asked by <host>`, or the failure that is tried again after the wait. */
  | {
      readonly type: 'waiting';
      readonly reason: string;
      readonly milliseconds: number;
      /** The host that asked for the wait. Undefined after a failure. */
      readonly askedBy?: string | undefined;
    }
  | { readonly type: 'warning'; readonly message: string };

/** `waiting`: known, not begun. `exists`: was here. `following`: another process is fetching it. `done`: committed by us. */
export type BlobStatus = 'waiting' | 'downloading' | 'following' | 'committing' | 'done' | 'exists';

/**
 * What a pull's time goes into. `resolve`, `sync` and `record` are of the image, `fetch` and `verify` of a blob, the others of a
 * layer. `wait`: for bytes that were not there yet, or for the layer below. `verify`: hashing. `rebase`: what only the
 * layers below can settle.
 */
export type Stage =
  | 'resolve'
  | 'fetch'
  | 'verify'
  | 'extract'
  | 'wait'
  | 'inflate'
  | 'apply'
  | 'rebase'
  | 'commit'
  | 'sync'
  | 'record';

/** Milliseconds, each the sum over the pieces of interleaved work; what was not measured is absent. */
export type StageTimes = { readonly [S in 'wait' | 'inflate' | 'verify' | 'apply']?: number };

export type Report = (event: ProgressEvent) => void;
