import type { ContentStore } from './content/content-store.ts';
import type { ImageStore } from './images/image-store.ts';
import type { Applier } from './layers/applier.ts';
import type { Leases } from './leases/lease-store.ts';
import type { Call } from './ports/call.ts';
import type { Snapshotter } from './snapshots/snapshotter.ts';

export interface GcResult {
  readonly blobs: number;
  readonly snapshots: number;
  /** Bytes of the blobs removed. */
  readonly bytes: number;
}

/** One namespace of a store: local, or a running containerd's. The verbs (pull, fetch) are written once over it. */
export interface Backend extends AsyncDisposable {
  readonly namespace: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  readonly applier: Applier;
  /** InvalidArgument for a name it does not have. Default: what a containerd's namespace says, else `overlayfs`. */
  snapshotter(name?: string): Snapshotter;
  readonly snapshotterNames: readonly string[];
  /** Makes every snapshot committed so far durable: called once a pull, before the image is recorded. */
  sync(call?: Call): Promise<void>;
  /**
   * Removes what nothing references: mark from images, leases and root labels, then sweep. Undefined where it is not told
   * what went (a containerd collects by itself; it is only made to do so now).
   */
  collect(call?: Call): Promise<GcResult | undefined>;
}
