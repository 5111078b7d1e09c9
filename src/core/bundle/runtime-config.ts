/** config.json of a runtime bundle from an image's config (image-spec conversion.md, runtime-spec config.md). Pure. */
import type { ImageConfig } from '../oci/documents.ts';
import type { User } from '../users/accounts.ts';
import { DEFAULT_PATH, linuxDefaults, MOUNTS, type RuntimeMount, rootlessMounts } from './defaults.ts';

export interface BundleOptions {
  readonly user: User;
  /** Gives the process a terminal. */
  readonly tty: boolean;
  /** For a runtime without root: a user namespace in which this user and group are root. */
  readonly rootless?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface RuntimeConfig {
  readonly config: object;
  readonly warnings: readonly string[];
}

const PREFIX = 'org.opencontainers.image.';
/**
 * Annotations that runtimes act upon: crun's (hooks' output files, handlers, devices), runc's (properties of the systemd
 * unit), and those of sandboxes. An image must not steer its own runtime.
 */
const STEERING =
  /^(?:run\.oci\.|org\.systemd\.property\.|org\.criu\.|module\.wasm\.|io\.katacontainers\.|dev\.gvisor\.|io\.kubernetes\.)/;
/** What the runtime itself mounts: a volume there would hide it. */
const TAKEN = /^\/(?:proc|sys|dev)(?:\/|$)/;
const MAX_VOLUMES = 256;

export function runtimeConfig(image: ImageConfig, options: BundleOptions): RuntimeConfig {
  const warnings: string[] = [];
  const { rootless } = options;
  const config = {
    ociVersion: '1.0.2',
    process: processOf(image, options, warnings),
    root: { path: 'rootfs', readonly: false },
    mounts: [...(rootless === undefined ? MOUNTS : rootlessMounts()), ...volumes(image, warnings)],
    annotations: annotations(image, warnings),
    linux: linuxDefaults(rootless),
  };
  return { config, warnings };
}

function processOf(image: ImageConfig, options: BundleOptions, warnings: string[]): object {
  const { Entrypoint = [], Cmd = [], Env = [], WorkingDir = '' } = image.config;
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
  const { uid, gid, additionalGids } = options.user;
  const user = { uid, gid, ...(additionalGids.length > 0 ? { additionalGids } : {}) };
  if (options.rootless !== undefined && (uid !== 0 || gid !== 0 || additionalGids.length > 0)) {
    warnings.push(
      `The image runs as ${uid}:${gid}, which a user namespace of one user lacks: config.json has 0:0, which is you`,
    );
  }
  return {
    terminal: options.tty,
    user: options.rootless === undefined ? user : { uid: 0, gid: 0 },
    args,
    env,
    cwd: WorkingDir.startsWith('/') ? WorkingDir : `/${WorkingDir}`,
    ...linuxProcess(),
  };
}

function linuxProcess(): object {
  const held = [...CAPABILITIES];
  return {
    capabilities: { bounding: held, effective: held, permitted: held },
    rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  };
}

/** Data of a volume does not go to the image's tree; what the image has there is seen (`tmpcopyup`). */
function volumes(image: ImageConfig, warnings: string[]): RuntimeMount[] {
  const found: RuntimeMount[] = [];
  for (const destination of image.config.Volumes ?? []) {
    const odd = !/^\/[^\0]*[^/\0]/.test(destination) || destination.split('/').includes('..');
    if (odd || TAKEN.test(destination) || found.length >= MAX_VOLUMES) {
      warnings.push(`Left out the volume ${JSON.stringify(destination)}`);
      continue;
    }
    const options = ['nosuid', 'nodev', 'mode=755', 'tmpcopyup'];
    found.push({ destination, type: 'tmpfs', source: 'tmpfs', options });
  }
  return found;
}

/** What the image's author wrote (labels) goes before what the config implies. */
function annotations(image: ImageConfig, warnings: string[]): Record<string, string> {
  const { platform, author, created } = image;
  const { StopSignal, ExposedPorts, Labels = {} } = image.config;
  const implied: Readonly<Record<string, string | undefined>> = {
    os: platform?.os,
    architecture: platform?.architecture,
    variant: platform?.variant,
    'os.version': platform?.osVersion,
    'os.features': platform?.osFeatures?.join(','),
    author,
    created,
    stopSignal: StopSignal,
    exposedPorts: ExposedPorts?.join(','),
  };
  const all: [string, string][] = [];
  for (const [key, value] of Object.entries(implied)) {
    if (value !== undefined && value !== '') all.push([`${PREFIX}${key}`, value]);
  }
  for (const [key, value] of Object.entries(Labels)) {
    if (key === '' || STEERING.test(key)) {
      warnings.push(`Left out the label ${JSON.stringify(key)}: runtimes take such annotations for orders`);
    } else all.push([key, value]);
  }
  return Object.fromEntries(all);
}

/** What containerd and Docker give a container that asks for nothing. */
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
