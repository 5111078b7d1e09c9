import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { DescriptorMessage, MountMessage } from './messages.ts';

/** containerd keeps no more of one. */
export function fromDescriptor({ mediaType, digest, size, annotations }: Descriptor): DescriptorMessage {
  return { mediaType, digest, size, annotations: annotations ?? {} };
}

export function toMounts(mounts: readonly MountMessage[]): Mount[] {
  return mounts.map(({ type, source, options }) => ({ type, source, options }));
}
