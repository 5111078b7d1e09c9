import { HawserError } from '../errors.ts';
import type { Mount } from '../ports/mounter.ts';

/**
 * NotImplemented for mounts that the kernel cannot make as they are: a loop device or a step of containerd's mount manager comes
 * first (containerd's docs/mounts.md: types `loop` and `format/...`, options `loop` and `X-containerd.*`, templates).
 */
export function checkMountable(mounts: readonly Mount[], snapshotter: string): void {
  const odd = mounts.find(({ type, source, options }) => {
    const parts = [source, ...options];
    return (
      type === 'loop' ||
      type.includes('/') ||
      options.some((option) => option === 'loop' || option.startsWith('X-containerd.')) ||
      parts.some((part) => part.includes('{{'))
    );
  });
  if (odd === undefined) return;
  throw new HawserError(
    'NotImplemented',
    `Cannot mount a snapshot of "${snapshotter}": its ${odd.type} mounts need a loop device or containerd's mount manager`,
    {
      hint: 'Mount with "ctr images mount --snapshotter NAME", or here with another snapshotter: --snapshotter overlayfs',
    },
  );
}
