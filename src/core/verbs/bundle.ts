/** The verb `bundle`: a directory that an OCI runtime starts: `rootfs` and config.json. */
import { findInTree, type TreePath } from '../archive/find-in-tree.ts';
import { readFileInTree } from '../archive/read-file.ts';
import { withOpen } from '../async/cleanup.ts';
import { type ImagePath, runtimeConfig } from '../bundle/runtime-config.ts';
import { HawserError, isKind, wrap } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { Runtime } from '../runtime.ts';
import { type Accounts, findUser, MAX_ACCOUNTS_BYTES } from '../users/accounts.ts';
import { readProcessStatus } from '../users/process-status.ts';
import { type OutputDeps, type RootfsOptions, type RootfsResult, toDirectory } from './rootfs.ts';

export interface BundleImageOptions extends RootfsOptions {
  /** Gives the process a terminal. */
  readonly tty?: boolean | undefined;
}

const NO_USER =
  'The publisher of the image has to mend its USER, /etc/passwd or /etc/group; hawser unpack --rootfs makes the tree alone';

/**
 * As unpackRootfs, with the tree in `rootfs`, and config.json beside. When the files belong to this process's user, config.json
 * asks for a user namespace in which that user is root. FailedPrecondition for an image that is not for Linux.
 */
export async function bundleImage(
  deps: OutputDeps,
  image: Image,
  options: BundleImageOptions,
): Promise<RootfsResult> {
  const { runtime } = deps;
  return await toDirectory(deps, image, options, async (tree, { path, planned, owner, signal }) => {
    const { config, platform } = planned;
    if (config.platform !== undefined && config.platform.os !== 'linux') {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot make a bundle of ${image.name}: it is for ${platform}`,
        { hint: 'A bundle runs on Linux: name a --platform of Linux that the image has' },
      );
    }
    await runtime.fs.mkdir(path, 0o700, { signal });
    await tree('rootfs');
    const accounts = await accountsOf(runtime, `${path}/rootfs`);
    let user: ReturnType<typeof findUser>;
    try {
      user = findUser(config.config.User ?? '', accounts);
    } catch (err) {
      throw wrap(`Cannot tell whom ${image.name} runs as`, err, NO_USER);
    }
    const rootless = owner === 'keep' ? undefined : await ourselves(runtime, signal);
    const sys = await runtime.syscalls();
    const follow = (where: string): ImagePath => {
      const found = findReadable(sys, `${path}/rootfs`, where);
      if (found.stat === undefined) return { path: found.path };
      const { uid, gid, mode } = found.stat;
      return { path: found.path, directory: { uid, gid, mode: mode & 0o7777 } };
    };
    const made = runtimeConfig(config, { user, tty: options.tty ?? false, rootless, follow });
    for (const message of made.warnings) options.report?.({ type: 'warning', message });
    await writeJson(runtime, `${path}/config.json`, made.config);
  });
}

/** Without root a directory of the image may be closed to this process: paths through it are not followed. */
function findReadable(sys: Syscalls, root: string, path: string): TreePath {
  try {
    return findInTree(sys, root, path);
  } catch (err) {
    if (isKind(err, 'PermissionDenied')) return { path, stat: undefined };
    throw wrap(`Cannot follow ${JSON.stringify(path)} in the image`, err);
  }
}

async function accountsOf(runtime: Runtime, root: string): Promise<Accounts> {
  const sys = await runtime.syscalls();
  const read = (path: string) => readFileInTree(sys, root, path, MAX_ACCOUNTS_BYTES);
  return { passwd: read('etc/passwd'), group: read('etc/group') };
}

/** Whoever runs this command will run the runtime. */
async function ourselves(
  { fs, host }: Runtime,
  signal: AbortSignal | undefined,
): Promise<{ uid: number; gid: number }> {
  const status = await readProcessStatus(fs, { signal });
  return { uid: host.uid, gid: status?.effectiveGid ?? host.uid };
}

async function writeJson({ fs }: Runtime, path: string, value: object): Promise<void> {
  await withOpen(fs.open(path, 'exclusive', 0o600), async (file) => {
    await file.write(new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`), 0);
    await file.sync();
  });
}
