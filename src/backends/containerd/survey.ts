/** What one namespace of a containerd has, as far as its API tells: its sandboxes and its other plugins may keep more. */
import type { Backend } from '../../core/backend.ts';
import { ifFound } from '../../core/errors.ts';
import { nodeKey } from '../../core/gc/graph.ts';
import { type GcNode, references } from '../../core/gc/references.ts';
import type { Survey } from '../../core/gc/survey.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Connection } from './connection.ts';
import { listAll } from './list-all.ts';
import type { Message } from './messages.ts';

/** Milliseconds for which containerd keeps an ingest that no lease holds. */
const INGEST_GRACE = 24 * 3600 * 1000;

type Roles = Pick<
  Backend,
  'namespace' | 'content' | 'images' | 'leases' | 'snapshotter' | 'snapshotterNames'
>;

function holdsOf({ snapshotter, snapshotKey, labels }: Message<'Container'>): GcNode[] {
  const own: GcNode[] = snapshotKey === '' ? [] : [{ type: `snapshots/${snapshotter}`, id: snapshotKey }];
  return [...own, ...references(labels)];
}

async function containersOf(connection: Connection, call?: Call) {
  const messages = connection.stream('containers.v1.Containers/ListStream', {}, call ?? {});
  const containers = await listAll(messages, ({ container }) => (container === null ? [] : [container]));
  return containers.map((one) => ({ id: one.id, holds: holdsOf(one) }));
}

async function leasesOf({ leases }: Roles, call?: Call) {
  const found = [];
  for (const { id, labels } of await leases.list(call)) {
    const resources = await ifFound(leases.resources(id, call));
    if (resources !== undefined) found.push({ id, labels, live: true, resources });
  }
  return found;
}

async function snapshotsOf(roles: Roles, bytes: Map<string, number>, call: { sizes?: boolean } & Call) {
  const found = [];
  for (const snapshotter of roles.snapshotterNames) {
    const one = roles.snapshotter(snapshotter);
    for (const { name, parent, labels } of await one.list(call)) {
      found.push({ snapshotter, name, parent, labels });
      if (call.sizes === false) continue;
      const usage = await ifFound(one.usage(name, call));
      bytes.set(nodeKey(`snapshots/${snapshotter}`, name), usage?.size ?? 0);
    }
  }
  return found;
}

export async function survey(
  connection: Connection,
  roles: Roles,
  now: number,
  call: { sizes?: boolean } & Call = {},
): Promise<Survey> {
  const bytes = new Map<string, number>();
  const content = await roles.content.list(call);
  for (const { digest, size } of content) bytes.set(nodeKey('content', digest), size);
  const statuses = await roles.content.listStatuses(call);
  for (const { ref, offset } of statuses) bytes.set(nodeKey('ingests', ref), offset);
  const images = await roles.images.list(call);
  const state = {
    leases: await leasesOf(roles, call),
    images: images.map(({ name, target, labels }) => ({ name, digest: target.digest, labels })),
    content,
    snapshots: await snapshotsOf(roles, bytes, call),
    ingests: statuses.map(({ ref, expected, startedAt }) => ({
      ref,
      expected,
      live: now - startedAt < INGEST_GRACE,
    })),
    containers: await containersOf(connection, call),
  };
  return { now, namespaces: [{ name: roles.namespace, state, broken: [], bytes }], strays: [], records: 0 };
}
