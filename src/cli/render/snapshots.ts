import type { Mount } from '../../core/ports/mounter.ts';
import type { SnapshotInfo } from '../../core/snapshots/snapshotter.ts';
import type { UsageRow } from '../views/usage.ts';
import { goJson, goTime, sorted } from './go-json.ts';
import { table } from './images.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** `ctr snapshots list`. */
export function renderSnapshots(infos: readonly SnapshotInfo[]): string {
  return table(
    ['KEY', 'PARENT', 'KIND'],
    infos.map((info) => [info.name, info.parent, info.kind]),
  );
}

export function renderSnapshotsJson(infos: readonly SnapshotInfo[]): string {
  return `${goJson({ v: 1, type: 'snapshots', snapshots: infos.map(snapshotJson) })}\n`;
}

export function renderSnapshotJson(info: SnapshotInfo): string {
  return `${goJson({ v: 1, type: 'snapshot', ...snapshotJson(info) })}\n`;
}

function snapshotJson({ name, parent, kind, createdAt, updatedAt, labels }: SnapshotInfo) {
  return {
    ...{ name, parent, kind },
    createdAt: goTime(createdAt),
    updatedAt: goTime(updatedAt),
    labels: sorted(labels),
  };
}

/** `ctr snapshots usage` and `ctr images usage`. */
export function renderUsage(rows: readonly UsageRow[], bytes: boolean): string {
  return table(
    ['KEY', 'SIZE', 'INODES'],
    rows.map((row) => [row.key, bytes ? String(row.size) : binarySize(row.size), String(row.inodes)]),
  );
}

export function renderUsageJson(rows: readonly UsageRow[]): string {
  const usage = rows.map(({ key, size, inodes }) => ({ key, size, inodes }));
  return `${goJson({ v: 1, type: 'usage', usage })}\n`;
}

/** `ctr snapshots info`: containerd's snapshots.Info as Go prints it. */
export function renderSnapshotInfo(info: SnapshotInfo): string {
  const value = {
    Kind: info.kind,
    Name: info.name,
    ...(info.parent === '' ? {} : { Parent: info.parent }),
    ...(Object.keys(info.labels).length === 0 ? {} : { Labels: sorted(info.labels) }),
    Created: goTime(info.createdAt),
    Updated: goTime(info.updatedAt),
  };
  return `${goJson(value, 4)}\n`;
}

/** `ctr snapshots tree`: roots after one blank, each level two blanks further right. */
export function renderSnapshotTree(infos: readonly SnapshotInfo[]): string {
  const below = new Map<string, SnapshotInfo[]>();
  for (const info of infos) below.set(info.parent, [...(below.get(info.parent) ?? []), info]);
  const lines: string[] = [];
  const stack = (below.get('') ?? []).map((info) => ({ info, level: 0 })).reverse();
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { info, level } = next;
    lines.push(`${'  '.repeat(level)}${level > 0 ? '\\_' : ''} ${safe(info.name)}\n`);
    for (const child of (below.get(info.name) ?? []).toReversed())
      stack.push({ info: child, level: level + 1 });
  }
  return lines.join('');
}

/** `ctr snapshots mounts`: lines for a shell. */
export function renderMounts(mounts: readonly Mount[], target: string): string {
  return mounts
    .map(
      (m) => `mount -t ${safe(m.type)} ${safe(m.source)} ${safe(target)} -o ${safe(m.options.join(','))}\n`,
    )
    .join('');
}

export function renderMountsJson(mounts: readonly Mount[], target: string): string {
  const all = mounts.map(({ type, source, options }) => ({ type, source, options: [...options] }));
  return `${goJson({ v: 1, type: 'mounts', target, mounts: all })}\n`;
}
