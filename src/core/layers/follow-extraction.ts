import { Idle } from '../async/idle.ts';
import type { LayerStep } from './layer-steps.ts';
import type { UnpackJob } from './unpack-job.ts';

/** Milliseconds between two looks at another process's extraction. */
const INTERVAL = 100;
const DEFAULT_STALL = 60_000;

type Follower = Pick<UnpackJob, 'snapshotter' | 'clock' | 'report' | 'signal' | 'stall'>;

/**
 * Waits while another process extracts the layer. False: that process lives, but has stopped (SIGSTOP, a frozen cgroup), and the layer
 * is to be extracted beside it. True: the process has committed the layer, given up, or died.
 */
export async function followExtraction(
  { clock, report, signal, snapshotter, stall = DEFAULT_STALL }: Follower,
  { chainId, index, layer }: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<boolean> {
  const idle = new Idle<string>(clock, stall, (seconds, milliseconds) => {
    const reason = `another process extracts layer ${index + 1} (${layer.digest}), and has done nothing for ${seconds} s`;
    report({ type: 'waiting', reason, milliseconds });
  });
  for (;;) {
    const other = await snapshotter.extraction?.(chainId, { signal });
    if (other === undefined) return true;
    onProgress(other.offset);
    if (!idle.goesOn(other.beat)) return false;
    await clock.sleep(INTERVAL, signal);
  }
}
