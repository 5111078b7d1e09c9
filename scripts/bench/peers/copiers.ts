/** Tools that copy images: skopeo with umoci to unpack, crane with tar. */
import { join } from 'node:path';
import { scratch } from '../../../test/support/scratch.ts';
import { versionOf } from '../machine.ts';
import { timed } from '../run.ts';
import type { Peer } from './peer.ts';

const skopeo: Peer = {
  name: 'skopeo',
  tools: ['skopeo', 'umoci'],
  versions: () => ({ skopeo: versionOf('skopeo'), umoci: versionOf('umoci') }),
  cannot: (kind, zstd) =>
    kind === 'again' ? 'it keeps no store' : kind === 'pull' && zstd ? 'umoci has no zstd' : undefined,
  run: async ({ kind, image, registry, base }) => {
    await using dir = scratch('bench-skopeo-', base);
    const layout = `${join(dir.path, 'layout')}:image`;
    const from = ['--src-tls-verify=false', `docker://${registry.reference(image)}`];
    const env = { TMPDIR: dir.path };
    const copy = await timed(['skopeo', 'copy', '-q', ...from, `oci:${layout}`], { env });
    if (kind === 'fetch') return copy.seconds;
    const unpack = await timed(['umoci', 'unpack', '--image', layout, join(dir.path, 'bundle')], { env });
    return copy.seconds + unpack.seconds;
  },
};

const crane: Peer = {
  name: 'crane',
  tools: ['crane', 'tar'],
  versions: () => ({ crane: versionOf('crane', 'version') }),
  cannot: (kind) => (kind === 'again' ? 'it keeps no store' : undefined),
  run: async ({ kind, image, registry, base }) => {
    await using dir = scratch('bench-crane-', base);
    const reference = registry.reference(image);
    const env = { TMPDIR: dir.path };
    if (kind === 'fetch') {
      const line = ['crane', 'pull', '--insecure', '--format', 'oci', reference, join(dir.path, 'layout')];
      return (await timed(line, { env })).seconds;
    }
    const script =
      'crane export --insecure "$1" - | tar --extract --numeric-owner --same-permissions -C "$2"';
    return (await timed(['sh', '-ec', script, 'sh', reference, dir.path], { env })).seconds;
  },
};

export const COPIERS: readonly Peer[] = [skopeo, crane];
