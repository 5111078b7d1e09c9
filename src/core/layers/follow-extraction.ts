import type { LayerStep } from './layer-steps.ts';
import type { UnpackJob } from './unpack-job.ts';

/** Milliseconds between two looks at another process's extraction. */
const INTERVAL = 100;
/** Milliseconds without a sign of life after which the user is told. */
const TELL_AFTER = 5_000;
const DEFAULT_STALL = 60_000;

type Follower = Pick<UnpackJob, 'snapshotter' | 'clock' | 'report' | 'signal' | 'stall'>;

/**
 * Waits while another process extracts the layer. False: that process lives, but has stopped (SIGSTOP, a frozen cgroup), and the layer
 * is to be extracted beside it. True: the process has committed the layer, given up, or died.
 */
export async function followExtraction(
  job: Follower,
  { chainId, index, layer }: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<boolean> {
  const { clock, report, signal, snapshotter, stall: limit = DEFAULT_STALL } = job;
  let beat: string | undefined;
  let since = clock.monotonic();
  let told = false;
  for (;;) {
    const other = await snapshotter.extraction?.(chainId, { signal });
    if (other === undefined) return true;
    const now = clock.monotonic();
    if (other.beat !== beat) since = now;
    beat = other.beat;
    onProgress(other.offset);
    const idle = now - since;
    if (idle >= limit) return false;
    if (idle >= Math.min(TELL_AFTER, limit) && !told) {
      told = true;
      const seconds = Math.round(idle / 1000);
      const reason = `another process extracts layer ${index + 1} (${layer.digest}), and has done nothing for ${seconds} s`;
      report({ type: 'waiting', reason, milliseconds: limit - idle });
    }
    await clock.sleep(INTERVAL, signal);
  }
}
