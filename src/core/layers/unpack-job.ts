import type { Limiter } from '../async/limiter.ts';
import type { Awaitable, Milestone } from '../async/milestone.ts';
import type { Turns } from '../async/turns.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { Healing } from '../content/heal.ts';
import type { Leases } from '../leases/lease-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../ports/clock.ts';
import type { Report } from '../progress/events.ts';
import type { LayerSnapshotter } from '../snapshots/snapshotter.ts';
import type { Applier } from './applier.ts';
import type { ImageBudget } from './image-budget.ts';
import type { LayerSettings } from './layer-settings.ts';

/** A blob on its way into the store. */
export interface BlobArrival {
  /** The first bytes have arrived. */
  readonly started: Awaitable;
  /** The blob is in the store, and its digest held. */
  readonly verified: Awaitable;
  /** Says that the bytes that have arrived cannot be right. True: they arrive anew, and `started` holds for those. */
  readonly doubt?: ((reason: unknown) => Promise<boolean>) | undefined;
}

/** The unpacking of one image: whom it works with, how it is stopped, told and limited. */
export interface UnpackJob {
  readonly content: Pick<ContentStore, 'label' | 'info' | 'verify'>;
  readonly leases: Pick<Leases, 'add'>;
  readonly snapshotter: LayerSnapshotter;
  readonly applier: Applier;
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'sleep'>;
  /** Processors. */
  readonly cpus: number;
  readonly report: Report;
  readonly settings?: LayerSettings | undefined;
  /** The image that is unpacked, for snapshotters that ask. Not given: layers alone. */
  readonly of?: { readonly name: string; readonly manifest: Digest } | undefined;
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly blob: (layer: Descriptor) => BlobArrival;
  /** Shared with other images that are unpacked at the same time: slots for layers, and a turn for each chain ID. */
  readonly together?: { readonly applying: Limiter; readonly layers: Turns } | undefined;
  /** Milliseconds without a sign of life after which another process that extracts a layer counts as stopped. Default: a minute. */
  readonly stall?: number | undefined;
  /** Brings a blob that the store has dropped, as its bytes had rotted. Not given: nothing can be fetched. */
  readonly refetch?: Healing['refetch'];
}

/** A job while its layers are at work side by side. */
export interface RunningUnpack extends UnpackJob {
  readonly image: ImageBudget;
  /** All layers of the image, from the base up. */
  readonly layers: readonly Descriptor[];
  /** Chain IDs whose snapshots were committed before, and are leased; undefined: the snapshotter says it of one at a time. */
  readonly there: ReadonlySet<string> | undefined;
  /** One slot for each layer that may be applied at once. */
  readonly slots: Limiter;
  /** Layers are extracted though another process extracts them. */
  readonly beside?: boolean | undefined;
  /** The moment at which the snapshot of this chain ID is committed. */
  readonly committed: (chainId: string) => Milestone;
}
