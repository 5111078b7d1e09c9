/** The messages of proto.ts as they come and go here: names in camel case, int64 as numbers, what is unset as its default. */
import type { Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';

/** Undefined or null: not set, which Go's side takes for its zero time. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

export interface DescriptorMessage {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: Labels;
}

export interface MountMessage {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface ContentInfo {
  readonly digest: string;
  readonly size: number;
  readonly createdAt: Timestamp | null;
  readonly updatedAt: Timestamp | null;
  readonly labels: Labels;
}

export interface ContentStatus {
  readonly startedAt: Timestamp | null;
  readonly updatedAt: Timestamp | null;
  readonly ref: string;
  readonly offset: number;
  readonly total: number;
  readonly expected: string;
}

export const STAT = 0;
export const WRITE = 1;
export const COMMIT = 2;

export interface WriteRequest {
  readonly action: typeof STAT | typeof WRITE | typeof COMMIT;
  readonly ref?: string;
  readonly total?: number;
  readonly expected?: string;
  readonly offset?: number;
  readonly data?: Uint8Array;
  readonly labels?: Labels;
}

export interface WriteResponse {
  readonly offset: number;
  readonly digest: string;
}

export interface ImageMessage {
  readonly name: string;
  readonly labels: Labels;
  readonly target: DescriptorMessage | null;
  readonly createdAt: Timestamp | null;
  readonly updatedAt: Timestamp | null;
}

export interface LeaseMessage {
  readonly id: string;
  readonly createdAt: Timestamp | null;
  readonly labels: Labels;
}

export interface SnapshotMessage {
  readonly name: string;
  readonly parent: string;
  readonly kind: number;
  readonly createdAt: Timestamp | null;
  readonly updatedAt: Timestamp | null;
  readonly labels: Labels;
}

interface Mask {
  readonly updateMask: { readonly paths: readonly string[] };
}
interface SnapshotKey {
  readonly snapshotter: string;
  readonly key: string;
}
type NewSnapshot = SnapshotKey & { readonly parent: string; readonly labels: Labels };
type NewImage = Pick<ImageMessage, 'name' | 'labels'> & { readonly target: DescriptorMessage };
type Empty = Readonly<Record<string, never>>;

/** Methods of one request and one response: `<package below containerd.services>.<service>/<method>`. */
export interface Calls {
  'content.v1.Content/Info': [{ digest: string }, { info: ContentInfo | null }];
  'content.v1.Content/Update': [
    { info: { digest: string; labels: Labels } } & Mask,
    { info: ContentInfo | null },
  ];
  'content.v1.Content/Delete': [{ digest: string }, Empty];
  'content.v1.Content/Status': [{ ref: string }, { status: ContentStatus | null }];
  'content.v1.Content/ListStatuses': [Empty, { statuses: readonly ContentStatus[] }];
  'content.v1.Content/Abort': [{ ref: string }, Empty];
  'images.v1.Images/Get': [{ name: string }, { image: ImageMessage | null }];
  'images.v1.Images/List': [Empty, { images: readonly ImageMessage[] }];
  'images.v1.Images/Create': [{ image: NewImage }, { image: ImageMessage | null }];
  'images.v1.Images/Update': [{ image: NewImage } & Mask, { image: ImageMessage | null }];
  'images.v1.Images/Delete': [{ name: string }, Empty];
  'leases.v1.Leases/Create': [{ id: string; labels: Labels }, { lease: LeaseMessage | null }];
  'leases.v1.Leases/Delete': [{ id: string; sync: boolean }, Empty];
  'leases.v1.Leases/List': [Empty, { leases: readonly LeaseMessage[] }];
  'leases.v1.Leases/AddResource': [{ id: string; resource: { id: string; type: string } }, Empty];
  'leases.v1.Leases/ListResources': [{ id: string }, { resources: readonly { id: string; type: string }[] }];
  'snapshots.v1.Snapshots/Prepare': [NewSnapshot, { mounts: readonly MountMessage[] }];
  'snapshots.v1.Snapshots/View': [NewSnapshot, { mounts: readonly MountMessage[] }];
  'snapshots.v1.Snapshots/Mounts': [SnapshotKey, { mounts: readonly MountMessage[] }];
  'snapshots.v1.Snapshots/Commit': [SnapshotKey & { name: string; labels: Labels }, Empty];
  'snapshots.v1.Snapshots/Remove': [SnapshotKey, Empty];
  'snapshots.v1.Snapshots/Stat': [SnapshotKey, { info: SnapshotMessage | null }];
  'snapshots.v1.Snapshots/Update': [
    { snapshotter: string; info: { name: string; labels: Labels } } & Mask,
    { info: SnapshotMessage | null },
  ];
  'snapshots.v1.Snapshots/Usage': [SnapshotKey, { size: number; inodes: number }];
  'diff.v1.Diff/Apply': [
    { diff: DescriptorMessage; mounts: readonly MountMessage[]; syncFs: boolean },
    { applied: DescriptorMessage | null },
  ];
  'namespaces.v1.Namespaces/Get': [{ name: string }, { namespace: { labels: Labels } | null }];
  'version.v1.Version/Version': [Empty, { version: string; revision: string }];
  'introspection.v1.Introspection/Plugins': [
    { filters: readonly string[] },
    { plugins: readonly PluginMessage[] },
  ];
}

interface PluginMessage {
  readonly type: string;
  readonly id: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly initErr: { message: string } | null;
}

/** Methods that answer a request with many messages. */
export interface Streams {
  'content.v1.Content/List': [Empty, { info: readonly ContentInfo[] }];
  'content.v1.Content/Read': [{ digest: string; offset: number }, { data: Uint8Array }];
  'snapshots.v1.Snapshots/List': [{ snapshotter: string }, { info: readonly SnapshotMessage[] }];
}

/** Milliseconds since the epoch; 0 for a time that is not set (or Go's zero time, in the year 1). */
export function toMs(time: Timestamp | null): number {
  if (time === null || time.seconds < 0) return 0;
  return time.seconds * 1000 + Math.floor(time.nanos / 1e6);
}

/** A mask path is `labels.` and the rest verbatim, dots and slashes included; masked but without a value is removal. */
export function labelMask(labels: Labels): Mask['updateMask'] {
  return { paths: Object.keys(labels).map((key) => `labels.${key}`) };
}

/** What must be in a response. */
export function need<T>(part: T | null, what: string): T {
  if (part !== null) return part;
  throw new HawserError('Internal', `containerd answered without ${what}`);
}
