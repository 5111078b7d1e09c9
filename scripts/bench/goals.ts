/** What hawser is to be, as ratios to what others take for the same in the same run. */
import type { Kind } from './peers.ts';

export interface Goal {
  readonly image: string;
  readonly kind: Kind;
  readonly ours: string;
  readonly peer: string;
  /** Their time divided by ours. */
  readonly atLeast: number;
}

const pull = (image: string, peer: string, atLeast: number): Goal => ({
  image,
  kind: 'pull',
  ours: 'hawser',
  peer,
  atLeast,
});

/** Stores on tmpfs. */
export const GOALS: readonly Goal[] = [
  pull('app', 'ctr', 4),
  pull('app', 'podman', 4),
  pull('app', 'skopeo', 4),
  pull('app', 'floor', 1),
  pull('app-one-layer', 'ctr', 3),
  pull('app-one-layer', 'podman', 3),
  pull('app-one-layer', 'skopeo', 3),
  pull('app-zstd', 'ctr', 4),
  pull('minbase', 'ctr', 3),
  pull('minbase', 'podman', 3),
  pull('minbase', 'skopeo', 3),
  pull('tiny', 'ctr', 1),
  pull('tiny', 'skopeo', 1),
  { image: 'app', kind: 'fetch', ours: 'hawser', peer: 'skopeo', atLeast: 1 },
  // Deno within 1.3 of Node, both from the one file.
  { image: 'app', kind: 'pull', ours: 'hawser-deno', peer: 'hawser-bundle', atLeast: 1 / 1.3 },
];

/** The store on ext4, our one sync included; ctr syncs nothing that it unpacks. */
export const EXT4_GOALS: readonly Goal[] = [pull('app', 'ctr', 2.5)];

/** Seconds for a pull of what is there. */
export const AGAIN_LIMIT = 0.1;
