/**
 * The messages and methods of containerd that are used, as containerd's api/ has them (1.6 to 2.x number the fields alike).
 * Fields that are not named here are skipped when read, as protocol buffers have it.
 */

const HEAD = 'syntax = "proto3";';

/** One text a package; they refer to each other by full names. */
export const PROTO: readonly string[] = [
  `${HEAD} package google.protobuf;
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message FieldMask { repeated string paths = 1; }
message Empty {}`,

  `${HEAD} package containerd.types;
message Descriptor { string media_type = 1; string digest = 2; int64 size = 3; map<string, string> annotations = 5; }
message Mount { string type = 1; string source = 2; string target = 3; repeated string options = 4; }`,

  `${HEAD} package containerd.services.content.v1;
service Content {
  rpc Info(InfoRequest) returns (InfoResponse);
  rpc Update(UpdateRequest) returns (UpdateResponse);
  rpc List(ListContentRequest) returns (stream ListContentResponse);
  rpc Delete(DeleteContentRequest) returns (google.protobuf.Empty);
  rpc Read(ReadContentRequest) returns (stream ReadContentResponse);
  rpc Status(StatusRequest) returns (StatusResponse);
  rpc ListStatuses(ListStatusesRequest) returns (ListStatusesResponse);
  rpc Write(stream WriteContentRequest) returns (stream WriteContentResponse);
  rpc Abort(AbortRequest) returns (google.protobuf.Empty);
}
message Info {
  string digest = 1;
  int64 size = 2;
  google.protobuf.Timestamp created_at = 3;
  google.protobuf.Timestamp updated_at = 4;
  map<string, string> labels = 5;
}
message InfoRequest { string digest = 1; }
message InfoResponse { Info info = 1; }
message UpdateRequest { Info info = 1; google.protobuf.FieldMask update_mask = 2; }
message UpdateResponse { Info info = 1; }
message ListContentRequest { repeated string filters = 1; }
message ListContentResponse { repeated Info info = 1; }
message DeleteContentRequest { string digest = 1; }
message ReadContentRequest { string digest = 1; int64 offset = 2; int64 size = 3; }
message ReadContentResponse { int64 offset = 1; bytes data = 2; }
message Status {
  google.protobuf.Timestamp started_at = 1;
  google.protobuf.Timestamp updated_at = 2;
  string ref = 3;
  int64 offset = 4;
  int64 total = 5;
  string expected = 6;
}
message StatusRequest { string ref = 1; }
message StatusResponse { Status status = 1; }
message ListStatusesRequest { repeated string filters = 1; }
message ListStatusesResponse { repeated Status statuses = 1; }
enum WriteAction { STAT = 0; WRITE = 1; COMMIT = 2; }
message WriteContentRequest {
  WriteAction action = 1;
  string ref = 2;
  int64 total = 3;
  string expected = 4;
  int64 offset = 5;
  bytes data = 6;
  map<string, string> labels = 7;
}
message WriteContentResponse { WriteAction action = 1; int64 offset = 4; int64 total = 5; string digest = 6; }
message AbortRequest { string ref = 1; }`,

  `${HEAD} package containerd.services.images.v1;
service Images {
  rpc Get(GetImageRequest) returns (GetImageResponse);
  rpc List(ListImagesRequest) returns (ListImagesResponse);
  rpc Create(CreateImageRequest) returns (CreateImageResponse);
  rpc Update(UpdateImageRequest) returns (UpdateImageResponse);
  rpc Delete(DeleteImageRequest) returns (google.protobuf.Empty);
}
message Image {
  string name = 1;
  map<string, string> labels = 2;
  containerd.types.Descriptor target = 3;
  google.protobuf.Timestamp created_at = 7;
  google.protobuf.Timestamp updated_at = 8;
}
message GetImageRequest { string name = 1; }
message GetImageResponse { Image image = 1; }
message ListImagesRequest { repeated string filters = 1; }
message ListImagesResponse { repeated Image images = 1; }
message CreateImageRequest { Image image = 1; }
message CreateImageResponse { Image image = 1; }
message UpdateImageRequest { Image image = 1; google.protobuf.FieldMask update_mask = 2; }
message UpdateImageResponse { Image image = 1; }
message DeleteImageRequest { string name = 1; bool sync = 2; }`,

  `${HEAD} package containerd.services.leases.v1;
service Leases {
  rpc Create(CreateRequest) returns (CreateResponse);
  rpc Delete(DeleteRequest) returns (google.protobuf.Empty);
  rpc List(ListRequest) returns (ListResponse);
  rpc AddResource(AddResourceRequest) returns (google.protobuf.Empty);
  rpc ListResources(ListResourcesRequest) returns (ListResourcesResponse);
}
message Lease { string id = 1; google.protobuf.Timestamp created_at = 2; map<string, string> labels = 3; }
message Resource { string id = 1; string type = 2; }
message CreateRequest { string id = 1; map<string, string> labels = 3; }
message CreateResponse { Lease lease = 1; }
message DeleteRequest { string id = 1; bool sync = 2; }
message ListRequest { repeated string filters = 1; }
message ListResponse { repeated Lease leases = 1; }
message AddResourceRequest { string id = 1; Resource resource = 2; }
message ListResourcesRequest { string id = 1; }
message ListResourcesResponse { repeated Resource resources = 1; }`,

  `${HEAD} package containerd.services.snapshots.v1;
service Snapshots {
  rpc Prepare(PrepareSnapshotRequest) returns (PrepareSnapshotResponse);
  rpc View(PrepareSnapshotRequest) returns (PrepareSnapshotResponse);
  rpc Mounts(SnapshotRequest) returns (PrepareSnapshotResponse);
  rpc Commit(CommitSnapshotRequest) returns (google.protobuf.Empty);
  rpc Remove(SnapshotRequest) returns (google.protobuf.Empty);
  rpc Stat(SnapshotRequest) returns (StatSnapshotResponse);
  rpc Update(UpdateSnapshotRequest) returns (UpdateSnapshotResponse);
  rpc List(ListSnapshotsRequest) returns (stream ListSnapshotsResponse);
  rpc Usage(SnapshotRequest) returns (UsageResponse);
}
enum Kind { UNKNOWN = 0; VIEW = 1; ACTIVE = 2; COMMITTED = 3; }
message Info {
  string name = 1;
  string parent = 2;
  Kind kind = 3;
  google.protobuf.Timestamp created_at = 4;
  google.protobuf.Timestamp updated_at = 5;
  map<string, string> labels = 6;
}
message SnapshotRequest { string snapshotter = 1; string key = 2; }
message PrepareSnapshotRequest { string snapshotter = 1; string key = 2; string parent = 3; map<string, string> labels = 4; }
message PrepareSnapshotResponse { repeated containerd.types.Mount mounts = 1; }
message CommitSnapshotRequest { string snapshotter = 1; string name = 2; string key = 3; map<string, string> labels = 4; }
message StatSnapshotResponse { Info info = 1; }
message UpdateSnapshotRequest { string snapshotter = 1; Info info = 2; google.protobuf.FieldMask update_mask = 3; }
message UpdateSnapshotResponse { Info info = 1; }
message ListSnapshotsRequest { string snapshotter = 1; repeated string filters = 2; }
message ListSnapshotsResponse { repeated Info info = 1; }
message UsageResponse { int64 size = 1; int64 inodes = 2; }`,

  `${HEAD} package containerd.services.diff.v1;
service Diff { rpc Apply(ApplyRequest) returns (ApplyResponse); }
message ApplyRequest {
  containerd.types.Descriptor diff = 1;
  repeated containerd.types.Mount mounts = 2;
  bool sync_fs = 4;
}
message ApplyResponse { containerd.types.Descriptor applied = 1; }`,

  `${HEAD} package containerd.services.namespaces.v1;
service Namespaces { rpc Get(GetNamespaceRequest) returns (GetNamespaceResponse); }
message Namespace { string name = 1; map<string, string> labels = 2; }
message GetNamespaceRequest { string name = 1; }
message GetNamespaceResponse { Namespace namespace = 1; }`,

  `${HEAD} package containerd.services.version.v1;
service Version { rpc Version(google.protobuf.Empty) returns (VersionResponse); }
message VersionResponse { string version = 1; string revision = 2; }`,

  `${HEAD} package containerd.services.introspection.v1;
service Introspection { rpc Plugins(PluginsRequest) returns (PluginsResponse); }
message Status { int32 code = 1; string message = 2; }
message Plugin { string type = 1; string id = 2; map<string, string> exports = 5; Status init_err = 7; }
message PluginsRequest { repeated string filters = 1; }
message PluginsResponse { repeated Plugin plugins = 1; }`,
];
