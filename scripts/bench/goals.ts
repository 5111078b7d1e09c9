/** What hawser is to be, as ratios to what others take for the same in the same run. */
import type { Kind } from './peers/peer.ts';

export interface Goal {
  readonly image: string;
  readonly kind: Kind;
  readonly ours: string;
  readonly peer: string;
  /** Their time divided by ours. */
  readonly atLeast: number;
}

const ofKind = (kind: Kind, ours: string, image: string, peer: string, atLeast: number): Goal => ({
  image,
  kind,
  ours,
  peer,
  atLeast,
});

const pull = (image: string, peer: string, atLeast: number): Goal =>
  ofKind('pull', 'hawser', image, peer, atLeast);

/** Stores on tmpfs, the registry on this machine. */
export const GOALS: readonly Goal[] = [
  pull('app', 'ctr', 4),
  pull('app', 'ctr2', 4),
  pull('app', 'ctr2-par', 3),
  pull('app', 'podman', 4),
  pull('app', 'podman-new', 4),
  pull('app', 'skopeo', 4),
  pull('app', 'floor', 1),
  pull('app', 'floor-igzip', 1 / 1.15),
  pull('app-one-layer', 'ctr', 3),
  pull('app-one-layer', 'ctr2', 3.2),
  pull('app-one-layer', 'podman', 3),
  pull('app-one-layer', 'skopeo', 3),
  pull('app-one-layer', 'floor-igzip', 1 / 0.9),
  pull('app-zstd', 'ctr', 4),
  pull('app-zstd', 'ctr2', 3),
  pull('app-zstd', 'ctr2-par', 2.4),
  pull('app-zstd', 'floor', 1 / 1.1),
  pull('minbase', 'ctr', 3),
  pull('minbase', 'ctr2', 2.2),
  pull('minbase', 'podman', 3),
  pull('minbase', 'skopeo', 3),
  pull('minbase', 'floor-igzip', 1 / 0.95),
  pull('tiny', 'ctr', 1),
  pull('tiny', 'skopeo', 1),
  pull('many', 'ctr2-par', 0.75),
  ofKind('fetch', 'hawser', 'app', 'skopeo', 1),
  ofKind('fetch', 'hawser', 'app', 'crane', 0.9),
  ofKind('pull', 'hawser-into', 'app', 'ctr2', 2.7),
  ofKind('pull', 'hawser-into', 'minbase', 'ctr2', 1.3),
  ofKind('pull', 'hawser-into', 'many', 'ctr2', 0.65),
  // Deno within 1.3 of Node, both from the one file.
  ofKind('pull', 'hawser-deno', 'app', 'hawser-bundle', 1 / 1.3),
];

/** The store on ext4, our one sync included; ctr syncs nothing that it unpacks. */
export const EXT4_GOALS: readonly Goal[] = [pull('app', 'ctr', 2.5), pull('app', 'ctr2', 3)];

/** A registry that is far away: before every peer that unpacks. */
export const FAR_GOALS: readonly Goal[] = ['minbase', 'python', 'many'].flatMap((image) =>
  ['ctr2', 'ctr2-par', 'podman', 'podman-new', 'skopeo'].map((peer) => pull(image, peer, 1.15)),
);

/** Seconds for a pull of what is there. */
export const AGAIN_LIMIT = 0.1;
