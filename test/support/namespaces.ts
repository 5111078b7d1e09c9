/** Programs in user namespaces: what `unshare --map-root-user` makes, with ids of the test's own choice. */
import { readlinkSync, writeFileSync } from 'node:fs';
import { type ExecOptions, type ExecResult, exec } from './exec.ts';

/** Lines of a uid_map and gid_map: first id inside, first id outside, how many. */
export const ONE_ID = '0 0 1\n';
/** As many as a user with an entry in /etc/subuid has, and the extreme ids of the real image. */
export const MANY_IDS = '0 0 1\n1 100001 65535\n3999999999 3999999999 2\n';

const WAIT = 'until grep -q . /proc/self/uid_map; do sleep 0.01; done; exec "$@"';

/**
 * Runs a program as root of a new user namespace and in a mount namespace of its own. This process has to be root, who may
 * write any map.
 */
export function inNamespace(
  map: string,
  file: string,
  args: readonly string[],
  opts: ExecOptions = {},
): Promise<ExecResult> {
  const flags = ['--user', '--mount', '--propagation', 'private', 'sh', '-c', WAIT, 'sh'];
  const started: ExecOptions['started'] = (child) => {
    const timer = setInterval(() => {
      if (!isInside(child.pid)) return;
      clearInterval(timer);
      for (const kind of ['gid_map', 'uid_map']) writeFileSync(`/proc/${child.pid}/${kind}`, map);
    }, 10);
    child.on('exit', () => clearInterval(timer));
    opts.started?.(child);
  };
  return exec('unshare', [...flags, file, ...args], { ...opts, started });
}

function isInside(pid: number | undefined): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user');
  } catch {
    return false;
  }
}
