import type { Clock } from './clock.ts';
import type { Codecs } from './codecs.ts';
import type { Databases } from './database.ts';
import type { FileSystem } from './file-system.ts';
import type { Hashers } from './hashers.ts';
import type { Host } from './host.ts';
import type { Mounter } from './mounter.ts';
import type { Programs } from './programs.ts';
import type { Syscalls } from './syscalls.ts';
import type { Transports } from './transport.ts';
import type { Workers } from './workers.ts';

/** Everything that differs between Node and Deno. Composed in src/entry, handed down, imported by nobody. */
export interface Runtime {
  readonly name: 'node' | 'deno';
  readonly host: Host;
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
  readonly workers: Workers;
}
