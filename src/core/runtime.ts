import type { Workers } from './layers/workers.ts';
import type { Clock } from './ports/clock.ts';
import type { Codecs } from './ports/codecs.ts';
import type { Databases } from './ports/database.ts';
import type { FileSystem } from './ports/file-system.ts';
import type { Hashers } from './ports/hashers.ts';
import type { HostSystem } from './ports/host.ts';
import type { HttpServers } from './ports/http-server.ts';
import type { Mounter } from './ports/mounter.ts';
import type { Programs } from './ports/programs.ts';
import type { SignatureChecks } from './ports/signatures.ts';
import type { Syscalls } from './ports/syscalls.ts';
import type { Transports } from './ports/transport.ts';

/** Everything that differs between Node and Deno. Composed in src/entry and handed down; nobody imports one. */
export interface Runtime {
  readonly host: HostSystem;
  readonly clock: Clock;
  readonly fs: FileSystem;
  readonly programs: Programs;
  /** libc through FFI, else tools, else FailedPrecondition that says what is missing. */
  syscalls(): Promise<Syscalls>;
  mounter(): Promise<Mounter>;
  readonly hashers: Hashers;
  readonly codecs: Codecs;
  readonly databases: Databases;
  readonly transports: Transports;
  readonly servers: HttpServers;
  readonly workers: Workers;
  /** Loaded when somebody asks for a signature. */
  signatures(): Promise<SignatureChecks>;
}
