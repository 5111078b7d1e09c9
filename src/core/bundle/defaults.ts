/** The parts of a bundle on which no image has a say: the defaults of `runc spec`. */

export interface RuntimeMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options?: readonly string[];
}

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const CLOSED = ['nosuid', 'noexec', 'nodev'];

export const MOUNTS: readonly RuntimeMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: [...CLOSED, 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: CLOSED },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...CLOSED, 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: [...CLOSED, 'relatime', 'ro'],
  },
];

/** Group 5 does not exist in a namespace of one user, and sysfs belongs to the network namespace, which is the host's. */
export function rootlessMounts(): RuntimeMount[] {
  const changed: RuntimeMount[] = [];
  for (const mount of MOUNTS) {
    if (mount.type === 'cgroup') continue;
    if (mount.type === 'devpts') {
      changed.push({
        ...mount,
        options: mount.options?.filter((option) => !option.startsWith('gid=')) ?? [],
      });
    } else if (mount.type === 'sysfs') {
      const options = ['rbind', ...CLOSED, 'ro'];
      changed.push({ destination: '/sys', type: 'none', source: '/sys', options });
    } else changed.push(mount);
  }
  return changed;
}

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function linuxDefaults(rootless: { readonly uid: number; readonly gid: number } | undefined): object {
  const shared = ['pid', 'ipc', 'uts', 'mount'];
  const rest = { maskedPaths: MASKED, readonlyPaths: READ_ONLY };
  if (rootless === undefined) {
    return {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: [...shared, 'network'].map((type) => ({ type })),
      ...rest,
    };
  }
  const only = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return {
    uidMappings: only(rootless.uid),
    gidMappings: only(rootless.gid),
    namespaces: [...shared, 'user'].map((type) => ({ type })),
    ...rest,
  };
}
