/** Three registries on loopback that write down, in one list, who was asked for what: for the order in which hosts are tried. */

import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Fault } from '../registry/faults.ts';
import type { TestImage } from '../registry/image.ts';
import { sha256, startRegistry } from '../registry/registry.ts';

export type HostName = 'up' | 'm1' | 'm2';

export interface RecordingHosts {
  /** `127.0.0.1:<port>`. `dead` is of no use over https, but its connections are counted. */
  readonly at: Readonly<Record<HostName | 'dead', string>>;
  /** The hosts asked for each object, in order, repetitions of one taken together: `tag`, `manifest`, `config`, `layer`. */
  asked(): Record<string, string[]>;
  /** Connections to `dead` so far. */
  dials(): number;
  close(): Promise<void>;
}

export interface Setup {
  readonly image: TestImage;
  /** The repositories under which each host has the image. Default: `t/a` at every host. */
  readonly has?: Partial<Record<HostName, readonly string[]>>;
  readonly faults?: Partial<Record<HostName, readonly Fault[]>>;
}

export async function startHosts({ image, has = {}, faults = {} }: Setup): Promise<RecordingHosts> {
  const log: [string, HostName][] = [];
  const roles = rolesOf(image);
  const start = async (name: HostName) => {
    const note: Fault = {
      when: (request) => {
        const object = request.url.pathname.split('/').at(-1) ?? '';
        if (request.url.pathname !== '/v2/') log.push([roles.get(object) ?? object, name]);
        return false;
      },
    };
    const registry = await startRegistry({ faults: [note, ...(faults[name] ?? [])] });
    for (const repo of has[name] ?? ['t/a']) registry.push(repo, 'x', image);
    return registry;
  };
  const [up, m1, m2] = await Promise.all([start('up'), start('m1'), start('m2')]);
  const dead = await startDead();
  return {
    at: { up: up.host, m1: m1.host, m2: m2.host, dead: dead.host },
    dials: dead.dials,
    asked() {
      const asked: Record<string, string[]> = {};
      for (const [role, name] of log) {
        asked[role] ??= [];
        if (asked[role].at(-1) !== name) asked[role].push(name);
      }
      return asked;
    },
    close: async () => {
      await Promise.all([up, m1, m2, dead].map((one) => one.close()));
    },
  };
}

function rolesOf(image: TestImage): ReadonlyMap<string, string> {
  const { config, layers } = JSON.parse(new TextDecoder().decode(image.root.bytes)) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  return new Map([
    ['x', 'tag'],
    [sha256(image.root.bytes), 'manifest'],
    [config.digest, 'config'],
    ...layers.map(({ digest }): [string, string] => [digest, 'layer']),
  ]);
}

/** Speaks no TLS: for https that is a host that cannot be connected to. */
async function startDead(): Promise<{ host: string; dials: () => number; close(): Promise<void> }> {
  let count = 0;
  const server = createServer((socket: Socket) => {
    count++;
    socket.on('error', () => {}).resume();
    socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    dials: () => count,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
