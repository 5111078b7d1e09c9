/** config.json of a runtime bundle from an image's config (image-spec conversion.md, runtime-spec config.md). Pure. */
import type { ImageConfig } from '../oci/documents.ts';
import { cleanPath } from '../paths.ts';
import type { User } from '../users/accounts.ts';
import { annotations } from './annotations.ts';
import { DEFAULT_PATH, linuxDefaults, MOUNTS, type RuntimeMount, rootlessMounts } from './defaults.ts';

/** Where a path of the image leads in its tree. */
export interface ImagePath {
  /** With every symlink followed. */
  readonly path: string;
  /** Of the directory there, if there is one. `mode`: the twelve permission bits. */
  readonly directory?: { readonly uid: number; readonly gid: number; readonly mode: number } | undefined;
}

export interface BundleOptions {
  readonly user: User;
  /** Follows an absolute path in the image's tree. Not given: no path leads elsewhere, and no directory is there. */
  readonly follow?: ((path: string) => ImagePath) | undefined;
  /** Gives the process a terminal. */
  readonly tty: boolean;
  /** For a runtime without root: a user namespace in which this user and group are root. */
  readonly rootless?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface RuntimeConfig {
  readonly config: object;
  readonly warnings: readonly string[];
}

/** Places at which the runtime itself mounts: a volume would hide that. */
const TAKEN = /^\/(?:proc|sys|dev)(?:\/|$)/;
/** Descriptors and roots of processes, which an old runtime leaks from the host (CVE-2024-21626). `/dev/fd` is a link there. */
const OF_PROCESSES = /^\/(?:proc\/|dev\/fd(?:\/|$))/;
const MAX_VOLUMES = 256;

export function runtimeConfig(image: ImageConfig, options: BundleOptions): RuntimeConfig {
  const warnings: string[] = [];
  const { rootless } = options;
  const config = {
    ociVersion: '1.0.2',
    process: processOf(image, options, warnings),
    root: { path: 'rootfs', readonly: false },
    mounts: [...(rootless === undefined ? MOUNTS : rootlessMounts()), ...volumes(image, options, warnings)],
    annotations: annotations(image, warnings),
    linux: linuxDefaults(rootless),
  };
  return { config, warnings };
}

function processOf(image: ImageConfig, options: BundleOptions, warnings: string[]): object {
  const { Entrypoint = [], Cmd = [], Env = [] } = image.config;
  const args = [...Entrypoint, ...Cmd];
  if (args.length === 0) {
    warnings.push('The image says no command to run: config.json has /bin/sh');
    args.push('/bin/sh');
  }
  const env = [...Env];
  const set = (name: string, value: string): void => {
    if (!env.some((one) => one.startsWith(`${name}=`))) env.push(`${name}=${value}`);
  };
  set('PATH', DEFAULT_PATH);
  if (options.tty) set('TERM', 'xterm');
  return {
    terminal: options.tty,
    user: processUser(options, warnings),
    args,
    env,
    cwd: workingDirectory(image, options, warnings),
    ...linuxProcess(),
  };
}

/**
 * The primary group is among the additional ones too: else the process can leave it, and reach what the group is denied
 * (CVE-2023-25173).
 */
function processUser({ user, rootless }: BundleOptions, warnings: string[]): object {
  const { uid, gid, additionalGids } = user;
  if (rootless === undefined) return { uid, gid, additionalGids: [gid, ...additionalGids] };
  if (uid !== 0 || gid !== 0) {
    warnings.push(
      `The image runs as ${uid}:${gid}, which a user namespace of one user lacks: config.json has 0:0, which is you`,
    );
  }
  return { uid: 0, gid: 0 };
}

/** Normalised, then checked: as it is written, and where it leads. */
function workingDirectory(image: ImageConfig, { follow }: BundleOptions, warnings: string[]): string {
  const { WorkingDir = '' } = image.config;
  const path = cleanPath(WorkingDir);
  const leads = follow?.(path).path ?? path;
  if (!WorkingDir.includes('\0') && ![path, leads].some((one) => OF_PROCESSES.test(one))) return path;
  warnings.push(`Left out the working directory ${JSON.stringify(WorkingDir)}: config.json has /`);
  return '/';
}

function linuxProcess(): object {
  const held = [...CAPABILITIES];
  return {
    capabilities: { bounding: held, effective: held, permitted: held },
    rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  };
}

/**
 * Data of a volume does not go to the image's tree. The volume begins as a copy of the image's directory (`tmpcopyup`), whose
 * owner and mode it gets. A volume comes after those above it.
 */
function volumes(
  image: ImageConfig,
  { follow, rootless }: BundleOptions,
  warnings: string[],
): RuntimeMount[] {
  const found = new Map<string, RuntimeMount>();
  for (const volume of image.config.Volumes ?? []) {
    const destination = cleanPath(volume);
    const { path, directory } = follow?.(destination) ?? { path: destination };
    const isOdd = !/^\/[^\0]*$/.test(volume) || destination === '/' || volume.split('/').includes('..');
    if (isOdd || [destination, path].some((one) => TAKEN.test(one)) || found.size >= MAX_VOLUMES) {
      warnings.push(`Left out the volume ${JSON.stringify(volume)}`);
      continue;
    }
    const mode = (directory?.mode ?? 0o755).toString(8);
    const owner =
      directory === undefined || rootless !== undefined
        ? []
        : [`uid=${directory.uid}`, `gid=${directory.gid}`];
    const options = ['nosuid', 'nodev', `mode=${mode}`, ...owner, 'tmpcopyup'];
    found.set(destination, { destination, type: 'tmpfs', source: 'tmpfs', options });
  }
  const depth = ({ destination }: RuntimeMount) => destination.split('/').length;
  return [...found.values()].sort((a, b) => depth(a) - depth(b));
}

/** The capabilities that containerd and Docker give by default. */
const CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];
