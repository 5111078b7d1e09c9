import type { Usage } from '../../core/snapshots/snapshotter.ts';

/** Disk usage of the snapshot `key`. */
export interface UsageRow extends Usage {
  readonly key: string;
}
