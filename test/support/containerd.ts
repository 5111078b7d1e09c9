/** A containerd of the test's own: its root, state and socket in a scratch directory. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { type ExecResult, exec, execOk } from './exec.ts';
import { requirePeer } from './needs.ts';
import { startDaemon } from './processes.ts';
import { scratch, unmountBelow } from './scratch.ts';

/** A containerd that is installed. */
export interface Installation {
  /** For titles: `containerd`, `containerd 2`. */
  readonly name: string;
  readonly containerd: string;
  readonly ctr: string;
}

const inPath: Installation = { name: 'containerd', containerd: 'containerd', ctr: 'ctr' };

/** The one in PATH (Debian's is 1.6), and the one whose binary the environment variable CONTAINERD2 names, with ctr beside it. */
export const installations: readonly Installation[] = [inPath, ...second(process.env.CONTAINERD2)];

function second(containerd: string | undefined): Installation[] {
  if (containerd === undefined || containerd === '') {
    requirePeer('CONTAINERD2');
    return [];
  }
  return [{ name: 'containerd 2', containerd, ctr: join(dirname(containerd), 'ctr') }];
}

export interface Containerd extends AsyncDisposable {
  readonly socket: string;
  readonly root: string;
  /** Runs ctr against it; must succeed. */
  ctr(...args: readonly string[]): Promise<ExecResult>;
  /** SIGKILL. */
  kill(): void;
  close(): Promise<void>;
}

/** Of no use without the CRI plugin, and NRI's socket is the machine's. */
const UNUSED = ['io.containerd.internal.v1.opt', 'io.containerd.nri.v1.nri'];
/** The CRI plugin wants a network configuration. */
const CRI = 'io.containerd.grpc.v1.cri';

/**
 * `base`: the directory below which its own is made, when the default will not do. `more`: lines for its configuration. `cri`: with the
 * CRI plugin.
 */
export async function startContainerd(
  base?: string,
  more = '',
  { containerd, ctr }: Installation = inPath,
  { cri = false }: { cri?: boolean } = {},
): Promise<Containerd> {
  const dir = scratch('hawser-ctrd-', base);
  const socket = join(dir.path, 'sock');
  const root = join(dir.path, 'root');
  const config = join(dir.path, 'config.toml');
  // Standard error keeps the log.
  writeFileSync(
    config,
    `version = 2
root = ${JSON.stringify(root)}
state = ${JSON.stringify(join(dir.path, 'state'))}
temp = ${JSON.stringify(join(dir.path, 'temp'))}
disabled_plugins = ${JSON.stringify(cri ? UNUSED : [...UNUSED, CRI])}
[grpc]
  address = ${JSON.stringify(socket)}
${more}`,
  );
  const ready = async (): Promise<boolean> =>
    (await exec(ctr, ['--address', socket, '--connect-timeout', '500ms', 'version'])).code === 0;
  // The shim beside it, and not that of another version.
  const beside = containerd.includes('/') ? [dirname(containerd)] : [];
  const env = { ...process.env, PATH: [...beside, process.env.PATH].join(':') };
  const daemon = await startDaemon(containerd, ['--config', config, '--log-level', 'warn'], ready, env);
  const close = async (): Promise<void> => {
    await unmountBelow(dir.path);
    await daemon.stop();
    await dir[Symbol.asyncDispose]();
  };
  return {
    socket,
    root,
    ctr: (...args) => execOk(ctr, ['--address', socket, ...args]),
    kill: () => void daemon.child.kill('SIGKILL'),
    close,
    [Symbol.asyncDispose]: close,
  };
}
