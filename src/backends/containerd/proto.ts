/**
 * The messages and methods of containerd that are used, as its api/ has them (1.6 to 2.x number the fields alike). The types
 * of TypeScript are derived from this table (messages.ts), and the table is compared with containerd's .proto files where
 * they are installed (test/unit/containerd/proto.test.ts). A field that is not named here is skipped when read. The names of messages
 * are ours, the names of methods and fields containerd's.
 */

/** Fields by name: their numbers and types. `labels` is map<string, string>; `X[]` is repeated. */
export const MESSAGES = {
  Empty: {},
  Timestamp: { seconds: [1, 'int64'], nanos: [2, 'int32'] },
  FieldMask: { paths: [1, 'string[]'] },
  Descriptor: {
    mediaType: [1, 'string'],
    digest: [2, 'string'],
    size: [3, 'int64'],
    annotations: [5, 'labels'],
  },
  Mount: { type: [1, 'string'], source: [2, 'string'], options: [4, 'string[]'] },

  Content: {
    digest: [1, 'string'],
    size: [2, 'int64'],
    createdAt: [3, 'Timestamp'],
    updatedAt: [4, 'Timestamp'],
    labels: [5, 'labels'],
  },
  ContentDigest: { digest: [1, 'string'] },
  ContentAnswer: { info: [1, 'Content'] },
  ContentUpdate: { info: [1, 'Content'], updateMask: [2, 'FieldMask'] },
  ContentList: { info: [1, 'Content[]'] },
  ReadRequest: { digest: [1, 'string'], offset: [2, 'int64'] },
  ReadResponse: { data: [2, 'bytes'] },
  IngestStatus: {
    startedAt: [1, 'Timestamp'],
    updatedAt: [2, 'Timestamp'],
    ref: [3, 'string'],
    offset: [4, 'int64'],
    total: [5, 'int64'],
    expected: [6, 'string'],
  },
  IngestRef: { ref: [1, 'string'] },
  StatusAnswer: { status: [1, 'IngestStatus'] },
  StatusList: { statuses: [1, 'IngestStatus[]'] },
  WriteRequest: {
    action: [1, 'enum'],
    ref: [2, 'string'],
    total: [3, 'int64'],
    expected: [4, 'string'],
    offset: [5, 'int64'],
    data: [6, 'bytes'],
    labels: [7, 'labels'],
  },
  WriteResponse: { action: [1, 'enum'], offset: [4, 'int64'], total: [5, 'int64'], digest: [6, 'string'] },

  Image: {
    name: [1, 'string'],
    labels: [2, 'labels'],
    target: [3, 'Descriptor'],
    createdAt: [7, 'Timestamp'],
    updatedAt: [8, 'Timestamp'],
  },
  ImageName: { name: [1, 'string'] },
  ImageAnswer: { image: [1, 'Image'] },
  ImageUpdate: { image: [1, 'Image'], updateMask: [2, 'FieldMask'] },
  ImageList: { images: [1, 'Image[]'] },

  Lease: { id: [1, 'string'], createdAt: [2, 'Timestamp'], labels: [3, 'labels'] },
  LeaseId: { id: [1, 'string'] },
  LeaseAnswer: { lease: [1, 'Lease'] },
  LeaseList: { leases: [1, 'Lease[]'] },
  LeaseCreation: { id: [1, 'string'], labels: [3, 'labels'] },
  LeaseDeletion: { id: [1, 'string'], sync: [2, 'bool'] },
  Resource: { id: [1, 'string'], type: [2, 'string'] },
  ResourceAddition: { id: [1, 'string'], resource: [2, 'Resource'] },
  ResourceList: { resources: [1, 'Resource[]'] },

  Snapshot: {
    name: [1, 'string'],
    parent: [2, 'string'],
    kind: [3, 'enum'],
    createdAt: [4, 'Timestamp'],
    updatedAt: [5, 'Timestamp'],
    labels: [6, 'labels'],
  },
  SnapshotListing: { snapshotter: [1, 'string'], filters: [2, 'string[]'] },
  SnapshotKey: { snapshotter: [1, 'string'], key: [2, 'string'] },
  SnapshotAnswer: { info: [1, 'Snapshot'] },
  SnapshotList: { info: [1, 'Snapshot[]'] },
  SnapshotUpdate: { snapshotter: [1, 'string'], info: [2, 'Snapshot'], updateMask: [3, 'FieldMask'] },
  SnapshotCreation: {
    snapshotter: [1, 'string'],
    key: [2, 'string'],
    parent: [3, 'string'],
    labels: [4, 'labels'],
  },
  SnapshotMounts: { mounts: [1, 'Mount[]'] },
  SnapshotCommit: {
    snapshotter: [1, 'string'],
    name: [2, 'string'],
    key: [3, 'string'],
    labels: [4, 'labels'],
    parent: [5, 'string'],
  },
  SnapshotUsage: { size: [1, 'int64'], inodes: [2, 'int64'] },

  ApplyRequest: { diff: [1, 'Descriptor'], mounts: [2, 'Mount[]'], syncFs: [4, 'bool'] },
  ApplyResponse: { applied: [1, 'Descriptor'] },
  DiffRequest: { left: [1, 'Mount[]'], right: [2, 'Mount[]'], mediaType: [3, 'string'] },
  DiffResponse: { diff: [3, 'Descriptor'] },

  Namespace: { name: [1, 'string'], labels: [2, 'labels'] },
  NamespaceName: { name: [1, 'string'] },
  NamespaceAnswer: { namespace: [1, 'Namespace'] },
  NamespaceUpdate: { namespace: [1, 'Namespace'], updateMask: [2, 'FieldMask'] },
  NamespaceList: { namespaces: [1, 'Namespace[]'] },
  Container: {
    id: [1, 'string'],
    labels: [2, 'labels'],
    image: [3, 'string'],
    snapshotter: [6, 'string'],
    snapshotKey: [7, 'string'],
  },
  ContainerAnswer: { container: [1, 'Container'] },
  VersionResponse: { version: [1, 'string'], revision: [2, 'string'] },
  Filters: { filters: [1, 'string[]'] },
  PluginStatus: { code: [1, 'int32'], message: [2, 'string'] },
  Plugin: {
    type: [1, 'string'],
    id: [2, 'string'],
    exports: [5, 'labels'],
    capabilities: [6, 'string[]'],
    initErr: [7, 'PluginStatus'],
  },
  PluginList: { plugins: [1, 'Plugin[]'] },
  ServerResponse: { pid: [2, 'int64'], pidns: [3, 'int64'] },
} as const;

/** Request and response of each method: `<package below containerd.services>.<service>/<method>`. */
export const CALLS = {
  'content.v1.Content/Info': ['ContentDigest', 'ContentAnswer'],
  'content.v1.Content/Update': ['ContentUpdate', 'ContentAnswer'],
  'content.v1.Content/Delete': ['ContentDigest', 'Empty'],
  'content.v1.Content/Status': ['IngestRef', 'StatusAnswer'],
  'content.v1.Content/ListStatuses': ['Empty', 'StatusList'],
  'content.v1.Content/Abort': ['IngestRef', 'Empty'],
  'images.v1.Images/Get': ['ImageName', 'ImageAnswer'],
  'images.v1.Images/List': ['Empty', 'ImageList'],
  'images.v1.Images/Create': ['ImageAnswer', 'ImageAnswer'],
  'images.v1.Images/Update': ['ImageUpdate', 'ImageAnswer'],
  'images.v1.Images/Delete': ['ImageName', 'Empty'],
  'leases.v1.Leases/Create': ['LeaseCreation', 'LeaseAnswer'],
  'leases.v1.Leases/Delete': ['LeaseDeletion', 'Empty'],
  'leases.v1.Leases/List': ['Empty', 'LeaseList'],
  'leases.v1.Leases/AddResource': ['ResourceAddition', 'Empty'],
  'leases.v1.Leases/ListResources': ['LeaseId', 'ResourceList'],
  'snapshots.v1.Snapshots/Prepare': ['SnapshotCreation', 'SnapshotMounts'],
  'snapshots.v1.Snapshots/View': ['SnapshotCreation', 'SnapshotMounts'],
  'snapshots.v1.Snapshots/Mounts': ['SnapshotKey', 'SnapshotMounts'],
  'snapshots.v1.Snapshots/Commit': ['SnapshotCommit', 'Empty'],
  'snapshots.v1.Snapshots/Remove': ['SnapshotKey', 'Empty'],
  'snapshots.v1.Snapshots/Stat': ['SnapshotKey', 'SnapshotAnswer'],
  'snapshots.v1.Snapshots/Update': ['SnapshotUpdate', 'SnapshotAnswer'],
  'snapshots.v1.Snapshots/Usage': ['SnapshotKey', 'SnapshotUsage'],
  'diff.v1.Diff/Apply': ['ApplyRequest', 'ApplyResponse'],
  'diff.v1.Diff/Diff': ['DiffRequest', 'DiffResponse'],
  'namespaces.v1.Namespaces/Get': ['NamespaceName', 'NamespaceAnswer'],
  'namespaces.v1.Namespaces/List': ['Empty', 'NamespaceList'],
  'namespaces.v1.Namespaces/Create': ['NamespaceAnswer', 'NamespaceAnswer'],
  'namespaces.v1.Namespaces/Update': ['NamespaceUpdate', 'NamespaceAnswer'],
  'namespaces.v1.Namespaces/Delete': ['NamespaceName', 'Empty'],
  'version.v1.Version/Version': ['Empty', 'VersionResponse'],
  'introspection.v1.Introspection/Plugins': ['Filters', 'PluginList'],
  'introspection.v1.Introspection/Server': ['Empty', 'ServerResponse'],
} as const;

/** The same for methods that answer a request with many messages. */
export const STREAMS = {
  'content.v1.Content/List': ['Empty', 'ContentList'],
  'content.v1.Content/Read': ['ReadRequest', 'ReadResponse'],
  'snapshots.v1.Snapshots/List': ['SnapshotListing', 'SnapshotList'],
  'containers.v1.Containers/ListStream': ['Empty', 'ContainerAnswer'],
} as const;

/** The same for the one method of many requests and many responses. */
export const WRITES = {
  'content.v1.Content/Write': ['WriteRequest', 'WriteResponse'],
} as const;
