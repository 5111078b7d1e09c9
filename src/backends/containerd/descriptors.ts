import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { PreparedSnapshot, SnapshotTrees } from '../../core/snapshots/snapshotter.ts';
import type { Message } from './messages.ts';

/** The fields of a descriptor that containerd keeps. */
export function fromDescriptor({ mediaType, digest, size, annotations }: Descriptor): Message<'Descriptor'> {
  return { mediaType, digest, size, annotations: annotations ?? {} };
}

export function toMounts(mounts: readonly Message<'Mount'>[]): Mount[] {
  return mounts.map(({ type, source, options }) => ({ type, source, options }));
}

/** An option of a mount of plain directories. With others (`userxattr`, `uidmap`) containerd has to write. */
const PLAIN_OPTION = /^(?:rw|rbind|index=off|(?:workdir|upperdir|lowerdir)=\/.*)$/s;

/** Whether these mounts show directories that a layer can be written to. */
export function isPlain([mount, ...more]: readonly Mount[]): boolean {
  if (mount === undefined || more.length > 0) return false;
  const { type, options } = mount;
  return (type === 'bind' || type === 'overlay') && options.every((option) => PLAIN_OPTION.test(option));
}

/** Whether an active snapshot has its files already (isStaged in core/unpack there, 2.4): its last mount is read-only. */
export function isStaged(mounts: readonly Message<'Mount'>[]): boolean {
  return mounts.at(-1)?.options.includes('ro') === true;
}

/** A new snapshot, as the answer to Prepare or View tells of it. */
export function toPrepared(messages: readonly Message<'Mount'>[]): PreparedSnapshot {
  const mounts = toMounts(messages);
  return { mounts, trees: treesOf(mounts) };
}

/** The directories of the mount that is on top, as containerd names them: they may be another machine's. */
function treesOf(mounts: readonly Mount[]): SnapshotTrees | undefined {
  const { type = '', source = '', options = [] } = mounts.at(-1) ?? {};
  const trees =
    type === 'bind'
      ? { upper: options.includes('rw') ? source : '', lowers: [] }
      : { upper: option(options, 'upperdir') ?? '', lowers: option(options, 'lowerdir')?.split(':') ?? [] };
  return [trees.upper, ...trees.lowers].every((path) => path.startsWith('/')) ? trees : undefined;
}

function option(options: readonly string[], name: string): string | undefined {
  return options.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}
