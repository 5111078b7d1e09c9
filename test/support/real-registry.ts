/** Debian's docker-registry (CNCF Distribution) on a loopback port, with its storage in a scratch directory. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { execOk } from './exec.ts';
import { freePort, startDaemon } from './processes.ts';
import { scratch } from './scratch.ts';

export interface RealRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`; plain HTTP. */
  readonly host: string;
  readonly dir: string;
  /** Copies an image of an OCI layout (`DIR:NAME`) to `repository:tag`, every platform, digests unchanged. */
  push(layout: string, name: string): Promise<void>;
  /** Copies it as Docker schema 2: the same layers under another manifest. */
  pushAsDocker(layout: string, name: string): Promise<void>;
  /** Ends it, and copies what it has to another directory. */
  keep(storage: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * `storage`: a directory that keeps what is pushed, for the next time. `onSent`: gets the bytes of each body that was sent, by the access
 * log.
 */
export async function startDockerRegistry(
  storage?: string,
  onSent?: (bytes: number) => void,
): Promise<RealRegistry> {
  const dir = scratch('hawser-reg-');
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(dir.path, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: ${onSent === undefined} } }
storage: { filesystem: { rootdirectory: ${JSON.stringify(storage ?? join(dir.path, 'storage'))} } }
http: { addr: ${JSON.stringify(host)} }
`,
  );
  const ready = (): Promise<boolean> =>
    fetch(`http://${host}/v2/`).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
  const daemon = await startDaemon('docker-registry', ['serve', config], ready);
  if (onSent !== undefined) {
    createInterface({ input: daemon.child.stdout ?? Readable.from([]) }).on('line', (line) => {
      const [, bytes] = /" \d{3} (\d+) "/.exec(line) ?? [];
      if (bytes !== undefined) onSent(Number(bytes));
    });
  }
  const close = async (): Promise<void> => {
    await daemon.stop();
    await dir[Symbol.asyncDispose]();
  };
  const copy = async (layout: string, name: string, flags: readonly string[]): Promise<void> => {
    const all = ['copy', '--quiet', '--dest-tls-verify=false', ...flags];
    await execOk('skopeo', [...all, `oci:${layout}`, `docker://${host}/${name}`]);
  };
  return {
    host,
    dir: dir.path,
    push: (layout, name) => copy(layout, name, ['--all', '--preserve-digests']),
    pushAsDocker: (layout, name) => copy(layout, name, ['--format', 'v2s2']),
    keep: async (storage) => {
      cpSync(join(dir.path, 'storage'), storage, { recursive: true });
      await close();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
