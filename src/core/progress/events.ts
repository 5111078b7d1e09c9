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
  | { readonly type: 'unpacked'; readonly platform: string; readonly chainId: string }
  | { readonly type: 'syncing' }
  | { readonly type: 'recorded'; readonly name: string; readonly target: string }
  | { readonly type: 'warning'; readonly message: string };

/** `waiting`: known, not begun. `exists`: was here. `following`: another process is fetching it. `done`: committed by us. */
export type BlobStatus = 'waiting' | 'downloading' | 'following' | 'committing' | 'done' | 'exists';

export type Report = (event: ProgressEvent) => void;
