import type { HeldDir, Workers } from '../../src/core/layers/workers.ts';
import { errnoError } from '../../src/platform/kernel/errno.ts';

/**
 * A disk whose write-backs fail when told to, and the syncs of which tell as Linux does: each descriptor that was open before the
 * failure once, and one that is opened later only while nobody was told.
 */
export class FailingDisk {
  #failed = false;
  readonly #told = new Set<number | 'a fresh descriptor'>();
  #synced = Promise.withResolvers<void>();

  /** What was written so far is lost. */
  fail(): void {
    this.#failed = true;
    this.#synced = Promise.withResolvers();
  }

  /** Resolves when a sync has ended since `fail`. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  readonly syncfs: Workers['syncfs'] = async (dirs) => {
    try {
      for (const dir of dirs) this.#sync(dir);
    } finally {
      this.#synced.resolve();
    }
  };

  #sync(dir: string | HeldDir): void {
    const by = typeof dir === 'string' ? 'a fresh descriptor' : dir.fd;
    const hears = typeof dir === 'string' ? this.#told.size === 0 : !this.#told.has(by);
    if (!this.#failed || !hears) return;
    this.#told.add(by);
    throw errnoError('EIO', 'syncing the file system');
  }
}
