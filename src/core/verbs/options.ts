/** What the verbs work with, take and give. */
import type { Limiter } from '../async/limiter.ts';
import type { Turns } from '../async/turns.ts';
import type { Backend } from '../backend.ts';
import type { Labels } from '../content/content-store.ts';
import type { Link, SplitOptions } from '../download/link.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Registry } from '../registry/registry.ts';
import type { Acceptance } from '../trust/verdict.ts';
import type { GateOptions } from './gate.ts';
import type { RecordOptions } from './record.ts';

/** Of the verbs that need nothing but the store. */
export interface StoreDeps {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly hashers: Hashers;
  readonly codecs: Codecs;
  readonly hostPlatform: Platform;
  /** Processors. */
  readonly cpus: number;
}

/** What transfers at the same time share, so that no blob is fetched and no layer unpacked twice. */
export interface Together {
  readonly link: Link;
  /** Blobs fetched at once, over all transfers. */
  readonly downloads: Limiter;
  /** Layers applied at once, over all transfers. */
  readonly applying: Limiter;
  /** By digest of a blob. */
  readonly blobs: Turns;
  /** By chain ID of a layer. */
  readonly layers: Turns;
}

/** Of the verbs that fetch. */
export interface TransferDeps extends StoreDeps {
  readonly registry: Registry;
  /** Undefined: this is the only transfer. */
  readonly together?: Together | undefined;
}

/** What every verb takes. */
export interface VerbOptions extends Call {
  readonly report?: Report | undefined;
}

/** What `fetch` and `pull` take. */
export interface FetchOptions extends VerbOptions, RecordOptions, GateOptions {
  readonly reference: Reference;
  /** Platforms wanted; `'all'` for every one. Not given: the host's. */
  readonly platforms?: readonly Platform[] | 'all' | undefined;
  /** Manifests and configs of all platforms, layers of the wanted ones. */
  readonly allMetadata?: boolean | undefined;
  /** Manifests and configs of all platforms, no layers. */
  readonly metadataOnly?: boolean | undefined;
  /**
   * Keeps all signatures of the image that there are, whatever the policy asks for, so that an export carries them. Not given: those that let
   * the image in.
   */
  readonly signatures?: boolean | undefined;
  /** Labels for the image record. */
  readonly labels?: Labels | undefined;
  /** Handlers at work at once, manifests counted too; 0 or not given: 6 (blobs of one host share its connections). */
  readonly maxConcurrentDownloads?: number | undefined;
  /** How long the content of a blob is asked for again. */
  readonly retry?: RetryOptions | undefined;
  /**
   * Milliseconds for which a failed verb keeps what it has brought, for the next one to go on with: 0 for not at all, else a day.
   * A process that is killed keeps it for a day at least.
   */
  readonly keepPartial?: number | undefined;
  /** Starts though the free space is too small for the image (forecast.ts). */
  readonly force?: boolean | undefined;
  /** How a large blob is fetched in several ranges at once. */
  readonly split?: SplitOptions | undefined;
}

export interface PullOptions extends FetchOptions {
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
}

/** What was fetched. */
export interface FetchResult {
  /** The image record's name. */
  readonly name: string;
  /** What the record points at: a manifest, or an index of them. */
  readonly target: Descriptor;
  /** The other names that the image has for CRI: its ID, and `repository@digest`. */
  readonly also?: readonly string[] | undefined;
  /** Who has accepted the image before it was fetched. */
  readonly verified?: readonly Acceptance[] | undefined;
}

/** An image of one platform, unpacked into snapshots. */
export interface UnpackedPlatform {
  /** `linux/arm64/v8`. */
  readonly platform: string;
  /** The platform's manifest. */
  readonly manifest: Descriptor;
  /** The name of the topmost snapshot: the chain ID of all layers (image-spec config.md). */
  readonly chainId: string;
  /** The name of the snapshotter that has the snapshots. */
  readonly snapshotter: string;
}

/** What was fetched and unpacked. */
export interface PullResult extends FetchResult {
  /** One for each platform that was wanted. */
  readonly unpacked: readonly UnpackedPlatform[];
}
