/** `hawser serve` as a process, and the tools that pull from it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec, execOk } from './exec.ts';
import type { Flavour } from './hawser.ts';
import { findTool, needs, requirePeer } from './needs.ts';
import { type Daemon, freePort, startDaemon } from './processes.ts';

export interface Served extends Daemon {
  /** `127.0.0.1:port`; plain HTTP. */
  readonly host: string;
}

/** Serves the store, at a port that is free. */
export async function serve(flavour: Flavour, root: string, ...more: readonly string[]): Promise<Served> {
  return await serveAt(flavour, root, await freePort(), ...more);
}

export async function serveAt(
  flavour: Flavour,
  root: string,
  port: number,
  ...more: readonly string[]
): Promise<Served> {
  const [file, ...before] = flavour.command;
  const host = `127.0.0.1:${port}`;
  const args = [...before, '--root', root, 'serve', '--listen', host, ...more];
  const ready = async () => (await fetch(`http://${host}/healthz`).catch(() => undefined))?.ok === true;
  return { ...(await startDaemon(file, args, ready)), host };
}

/** The most memory that a process has had, in MiB. */
export function peakOf({ child }: Daemon): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** A tool that pulls. */
export interface Puller {
  readonly name: string;
  readonly skip: string | false;
  /** Pulls over plain HTTP into a directory of its own; the digest of what the name named. */
  pull(ref: string, dir: string): Promise<string>;
}

export const pullers: readonly Puller[] = [
  { name: 'skopeo', skip: needs({ tools: ['skopeo'] }), pull: bySkopeo },
  { name: 'crane', skip: peer('crane'), pull: byCrane },
  { name: 'podman', skip: needs({ root: true, tools: ['podman'] }), pull: byPodman },
];

async function bySkopeo(ref: string, dir: string): Promise<string> {
  await execOk('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${ref}`, `oci:${dir}:1`]);
  return rootOf(dir);
}

async function byCrane(ref: string, dir: string): Promise<string> {
  await execOk('crane', ['pull', '--insecure', '--format=oci', ref, dir]);
  return rootOf(dir);
}

async function byPodman(ref: string, dir: string): Promise<string> {
  const own = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
  try {
    await execOk('podman', [...own, 'pull', '-q', '--tls-verify=false', ref]);
    const { stdout } = await execOk('podman', [...own, 'image', 'inspect', '--format', '{{.Digest}}', ref]);
    return stdout.trim();
  } finally {
    await exec('podman', [...own, 'system', 'reset', '-f']);
  }
}

function rootOf(layout: string): string {
  return JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0].digest;
}

/** Of a tool that scripts/ci-peers.sh makes. */
export function peer(name: string): string | false {
  if (findTool(name) !== undefined) return false;
  requirePeer(name);
  return `needs the tool ${name}`;
}
