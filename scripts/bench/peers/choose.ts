/** Who is measured. */
import { existsSync } from 'node:fs';
import { findTool } from '../../../test/support/needs.ts';
import { CONTAINERDS, todays } from './containerd.ts';
import { COPIERS } from './copiers.ts';
import { FLOORS } from './floor.ts';
import { COMMANDS, hawser, hawserInto, type Target } from './hawser.ts';
import type { Peer } from './peer.ts';
import { PODMANS } from './podman.ts';

function all(target: Target): readonly Peer[] {
  return [
    hawser('hawser', COMMANDS[target]),
    hawserInto('hawser-into', COMMANDS[target], todays),
    hawser('hawser-bundle', COMMANDS.bundle),
    hawser('hawser-deno', COMMANDS.deno),
    ...CONTAINERDS,
    ...PODMANS,
    ...COPIERS,
    ...FLOORS,
  ];
}

export const PEERS: readonly string[] = all('binary').map((one) => one.name);

/** Of the names wanted, in their order; what is not installed is left out and told. */
export function choosePeers(names: readonly string[], target: Target): { peers: Peer[]; absent: string[] } {
  const known = all(target);
  const absent: string[] = [];
  const peers = names.flatMap((name) => {
    const peer = known.find((one) => one.name === name);
    if (peer === undefined) throw new Error(`No peer is called ${name}; there are ${PEERS.join(', ')}`);
    const missing = peer.tools.filter((tool) =>
      tool.includes('/') ? !existsSync(tool) : findTool(tool) === undefined,
    );
    if (missing.length > 0) absent.push(`${name} (no ${missing.join(', ')})`);
    return missing.length > 0 ? [] : [peer];
  });
  return { peers, absent };
}
