/** Flags that several commands have, all of them or none: help shows them together, the manual page once. */
import type { CommandSpec } from './command.ts';
import type { AnyFlag } from './flag.ts';
import { GATE_FLAGS } from './gate-flags.ts';
import { LAYER_FLAGS } from './layer-flags.ts';
import { LIST_FLAGS } from './list-flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from './registry-flags.ts';

export interface FlagSet {
  readonly title: string;
  readonly flags: readonly AnyFlag[];
}

export const FLAG_SETS: readonly FlagSet[] = [
  { title: 'registry flags', flags: REGISTRY_FLAGS },
  { title: 'network flags', flags: NETWORK_FLAGS },
  { title: 'trust flags', flags: GATE_FLAGS },
  { title: 'layer flags', flags: LAYER_FLAGS },
  { title: 'list flags', flags: LIST_FLAGS },
];

/** The flags of a command by their sets; `own`: those of none. */
export function bySets({ flags }: CommandSpec): { own: readonly AnyFlag[]; sets: readonly FlagSet[] } {
  const sets = FLAG_SETS.filter((set) => set.flags.every((flag) => flags.includes(flag)));
  return { own: flags.filter((flag) => !sets.some((set) => set.flags.includes(flag))), sets };
}
