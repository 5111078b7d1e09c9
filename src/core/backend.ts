import type { ContentStore } from './content/content-store.ts';
import type { Namespaces } from './content/namespace-store.ts';
import { HawserError } from './errors.ts';
import type { Survey } from './gc/survey.ts';
import type { Image, ImageStore } from './images/image-store.ts';
import type { Applier } from './layers/applier.ts';
import type { LayerChecker } from './layers/layer-checker.ts';
import type { Leases } from './leases/lease-store.ts';
import type { Platform } from './oci/descriptor.ts';
import type { Call } from './ports/call.ts';
import type { LayerSnapshotter } from './snapshots/snapshotter.ts';
import type { RootJudge } from './trust/verdict.ts';

/** What a garbage collection removed. */
export interface GcResult {
  /** How many. */
  readonly blobs: number;
  /** How many. */
  readonly snapshots: number;
  /** Bytes of the blobs removed. */
  readonly bytes: number;
}

/** What the policy of a store says of its images at the moment. */
export interface PolicySays {
  /** An absolute path. */
  readonly file: string;
  /** The images of the namespace that go ahead of a collection. */
  readonly goes: readonly Image[];
  /** Why none goes for the size of the store, although it takes more than the policy allows: in a sentence. */
  readonly tooLarge: string | undefined;
}

/** Bytes of the file system that holds a store. */
export interface Space {
  /** For this process. */
  readonly free: number;
  readonly total: number;
}

/** What every part of a store says once the store has been disposed. */
export function closedStore(): HawserError {
  return new HawserError('FailedPrecondition', 'The store has been closed', {
    hint: 'Open it again with openStore or openContainerd, and dispose it when nothing uses it any more',
  });
}

/** One namespace of a store, local or of a running containerd. The verbs are written once over this interface. */
export interface Backend extends AsyncDisposable {
  readonly namespace: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: Leases;
  /** All namespaces of the store. */
  readonly namespaceStore: Namespaces;
  readonly applier: Applier;
  /** What is wrong with the records themselves; undefined when nothing is. Not given: they are a daemon's. */
  checkRecords?(call?: Call): Promise<string | undefined>;
  /** Compares snapshots with their layers. Not given: the files are a daemon's. */
  readonly checker?: LayerChecker;
  /** InvalidArgument for a name that is not there. Default: the one that a containerd's namespace names, else `overlayfs`. */
  snapshotter(name?: string): LayerSnapshotter;
  readonly snapshotterNames: readonly string[];
  /** The namespace whose records a CRI plugin reads. Not given: none reads any of this store. */
  readonly criNamespace?: string;
  /** Manifests and configs of platforms that are not wanted are taken too, where the user says nothing. Default: false. */
  readonly allMetadata?: boolean;
  /** The platform to take where the user names none, of those that `machine` runs. Not given: `machine`. */
  platform?(machine: Platform): Platform;
  /** The image verifiers of the node: to be asked before anything of an image is fetched. Not given: it has none. */
  readonly judge?: RootJudge;
  /** Room for content and snapshots. Not given where it cannot be known: the disk may be another machine's. */
  space?(call?: Call): Promise<Space>;
  /** Makes every snapshot committed so far durable: called once a pull, before the image is recorded. */
  sync(call?: Call): Promise<void>;
  /**
   * Removes content and snapshots that nothing references: mark from images, leases and root labels, then sweep. Undefined for a
   * containerd, which collects by itself and does not say what it removed.
   */
  collect(call?: Call): Promise<GcResult | undefined>;
  /** Undefined without a policy. InvalidArgument for a file that is none, or that others may write to. Not given: no store has one. */
  policy?(call?: Call): Promise<PolicySays | undefined>;
  /**
   * Collects when that was not done for a day, something is known to be of no use any more, or an image was recorded and the store takes more
   * than its policy allows; and when no other process has the store open. The policy is followed first.
   * Ends the removal of files after ten seconds; the next one goes on. `tell` gets what the user should know. Not given where somebody else
   * collects.
   */
  collectWhenDue?(call?: Call & { readonly tell?: (message: string) => void }): Promise<void>;
  /**
   * Everything that is there, for what a collection would do and for what takes room; changes nothing. `sizes` false: without the bytes
   * of snapshots, which may have to be counted file by file.
   */
  survey(opts?: { sizes?: boolean } & Call): Promise<Survey>;
}
