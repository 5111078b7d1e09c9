import type { Kind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Voucher } from '../trust/voucher.ts';

/**
 * The events of a transfer. The CLI renders them, `--progress=json` prints one a line, programs may watch them. `key` is
 * the kind and digest of a blob (`layer-sha256:...`); offsets and sizes are bytes. `image`: whose event it is, where many are transferred at once.
 */
export type ProgressEvent = ImageEvent & { readonly image?: string };

/** An event of the transfer of one image. */
export type ImageEvent =
  | { readonly type: 'resolving'; readonly name: string }
  | { readonly type: 'resolved'; readonly name: string; readonly root: Descriptor }
  /** Somebody vouches for the image, before anything of it is fetched. `by`: who has asked for that. */
  | {
      readonly type: 'verified';
      readonly name: string;
      readonly target: string;
      readonly by: string;
      readonly vouchers: readonly Voucher[];
    }
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
       * The time that the unpacking of a layer (with `chainId`) or the fetch of a blob (without) took: one event, before the
       * event with `extracted` or `done`.
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
      /** A step has ended and took `ms`. With `chainId` a layer's, else with `desc` a blob's, else the image's. */
      readonly type: 'span';
      readonly stage: Stage;
      readonly desc?: Descriptor | undefined;
      readonly chainId?: string | undefined;
      readonly ms: number;
    }
  | { readonly type: 'unpacked'; readonly platform: string; readonly chainId: string }
  | { readonly type: 'syncing' }
  | { readonly type: 'recorded'; readonly name: string; readonly target: string }
  /** The registry has all of the image, and the name names the image there. */
  | { readonly type: 'pushed'; readonly name: string; readonly target: string }
  /** No request is made for `milliseconds`. `reason`: `asked by <host>`, the failure that is retried afterwards, or a stopped writer. */
  | {
      readonly type: 'waiting';
      readonly reason: string;
      readonly milliseconds: number;
      /** The host that asked for the wait. Undefined after a failure. */
      readonly askedBy?: string | undefined;
    }
  | { readonly type: 'warning'; readonly message: string }
  /** The first event of many images. */
  | { readonly type: 'images'; readonly count: number }
  /** An image of many is not there; the others go on. */
  | {
      readonly type: 'failed';
      readonly kind: Kind;
      readonly message: string;
      readonly hint: string | undefined;
    };

/**
 * `waiting`: not begun. `exists`: in the store before. `following`: another process fetches it. `done`: committed. Of a push, `exists`: at
 * the registry before; `mounted`: the registry has taken it from another repository; `done`: sent, and there.
 */
export type BlobStatus =
  | 'waiting'
  | 'downloading'
  | 'following'
  | 'committing'
  | 'done'
  | 'exists'
  | 'uploading'
  | 'mounted';

/**
 * The stages of a pull. `resolve`, `sync` and `record` belong to the image, `fetch` and `verify` to a blob, the others to a
 * layer. `wait`: for bytes still to come, or for the layer below. `verify`: hashing. `rebase`: see src/README.md.
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

/** Milliseconds, each the sum over the pieces of interleaved work. A stage that was not measured is absent. */
export type StageTimes = { readonly [S in 'wait' | 'inflate' | 'verify' | 'apply']?: number };

/** Gets the events of one call, in order, as they happen. Should return at once, and must not throw. */
export type Report = (event: ProgressEvent) => void;
