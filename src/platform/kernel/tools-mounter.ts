import fs from 'node:fs';
import { type ByteString, display } from '../../core/bytes.ts';
import { HawserError, reasonOf } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Mount, Mounter } from '../../core/ports/mounter.ts';
import { errnoOfText } from './errno.ts';
import { fsError } from './fs-error.ts';
import { DATA_MAX, parseMountOptions, renameLowers, tellingSource, tooLong } from './mount-options.ts';
import { mountTable } from './mountpoints.ts';
import { handle, runToolAsync } from './tools-run.ts';

const O_PATH = 0o10000000;
const STACK_MAX = 1000;

/** Messages of util-linux that are not strerror(3)'s. */
const TEXTS: readonly (readonly [text: RegExp, errno: string])[] = [
  [/must be superuser|permission denied|only root can/i, 'EPERM'],
  [/not mounted|not a mount point|not mount point or bad option/i, 'EINVAL'],
  [/does not exist|no mount point specified/i, 'ENOENT'],
  [/unknown filesystem type/i, 'ENODEV'],
  [/wrong fs type|bad option/i, 'EINVAL'],
  [/is busy|already mounted/i, 'EBUSY'],
];

function errnoOf(printed: string): string | undefined {
  return TEXTS.find(([text]) => text.test(printed))?.[1] ?? errnoOfText(printed);
}

/**
 * Mounter by mount(8) and umount(8). An abort kills no tool, for nobody could tell what a killed tool has done; it only keeps
 * further tools from being started.
 */
export function createToolsMounter(): Mounter {
  return { provider: 'tools', mount, unmount, ...mountTable };
}

async function mount(mounts: readonly Mount[], target: string, call?: Call): Promise<void> {
  let done = 0;
  try {
    for (const one of mounts) {
      call?.signal?.throwIfAborted();
      await mountOne(one, target);
      done++;
    }
  } catch (err) {
    while (done-- > 0)
      await runToolAsync('umount', ['-l', '--', target], 'unmounting again', errnoOf).catch(() => {});
    throw err;
  }
}

async function mountOne(mount: Mount, target: string): Promise<void> {
  const doing = `mounting ${mount.type} at ${JSON.stringify(target)}`;
  const held: number[] = [];
  try {
    const { options, source } = shortened(mount, doing, held);
    const type = mount.type === 'bind' ? [] : ['-t', mount.type];
    const given = options === '' ? [] : ['-o', options];
    await runToolAsync('mount', [...type, ...given, '--', source, target], doing, errnoOf);
  } finally {
    for (const fd of held) fs.closeSync(fd);
  }
}

/** mount(2) silently cuts options after one page: lower directories then go by short names of their descriptors. */
function shortened(mount: Mount, doing: string, held: number[]): { options: string; source: string } {
  const { data } = parseMountOptions(mount.options);
  if (data.join(',').length <= DATA_MAX) return { options: mount.options.join(','), source: mount.source };
  if (mount.type !== 'overlay') throw tooLong(doing);
  const short = renameLowers(data, (lower: ByteString) => {
    try {
      const fd = fs.openSync(display(lower), O_PATH);
      held.push(fd);
      return handle(fd);
    } catch (err) {
      throw fsError(err, doing);
    }
  });
  if (short.join(',').length > DATA_MAX) throw tooLong(doing);
  const flags = mount.options.filter((option) => parseMountOptions([option]).data.length === 0);
  return { options: [...flags, ...short.map(display)].join(','), source: tellingSource(data, mount.source) };
}

async function unmount(
  target: string,
  opts: { lazy?: boolean; topmost?: boolean } & Call = {},
): Promise<void> {
  const doing = `unmounting ${JSON.stringify(target)}`;
  const lazy = opts.lazy === true ? ['-l'] : [];
  const count = opts.topmost === true ? 1 : STACK_MAX;
  for (let done = 0; done < count; done++) {
    opts.signal?.throwIfAborted();
    try {
      await runToolAsync('umount', [...lazy, '--', target], doing, errnoOf);
    } catch (err) {
      if (reasonOf(err, 'errno')?.errno !== 'EINVAL') throw err;
      if (done > 0) return;
      throw new HawserError('FailedPrecondition', `${doing}: not a mount point`, {
        reason: { type: 'errno', errno: 'EINVAL' },
      });
    }
  }
}
