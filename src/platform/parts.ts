import type { HostSystem } from '../core/ports/host.ts';
import type { Transports } from '../core/ports/transport.ts';
import type { Kernel } from './kernel/open.ts';

/** What each runtime has of its own; all else is over what they share. The functions load what takes long to load. */
export interface RuntimeParts {
  readonly name: HostSystem['runtime'];
  readonly version: string;
  readonly random: HostSystem['random'];
  kernel(): Promise<Kernel>;
  transports(): Promise<Transports>;
}
