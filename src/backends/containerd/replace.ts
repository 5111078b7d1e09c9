/** Sound bytes in the place of damaged ones. */

import { cleanupSignal } from '../../core/async/abort.ts';
import { cleanedUp } from '../../core/async/cleanup.ts';
import type { Info, Labels } from '../../core/content/content-store.ts';
import { HawserError, ifFound } from '../../core/errors.ts';
import { references } from '../../core/gc/references.ts';
import type { Digest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Connection } from './connection.ts';
import type { ContainerdLeases } from './leases.ts';

/** Milliseconds that what a blob refers to is kept, should this process die while the blob has no record. */
const LIFETIME = 24 * 3600 * 1000;

export interface ReplaceDeps {
  readonly connection: Connection;
  readonly leases: ContainerdLeases;
}

/**
 * FailedPrecondition when other namespaces have the blob, too: containerd keeps the file while any has a record of it, and drops all bytes
 * that come for a file it has.
 */
export async function requireOnlyHere(
  { connection }: ReplaceDeps,
  digest: Digest,
  call: Call,
): Promise<void> {
  const { namespaces } = await connection.call('namespaces.v1.Namespaces/List', {}, call);
  const others: string[] = [];
  for (const { name: namespace } of namespaces) {
    if (namespace === connection.namespace) continue;
    const found = connection.call('content.v1.Content/Info', { digest }, { ...call, namespace });
    if ((await ifFound(found)) !== undefined) others.push(namespace);
  }
  if (others.length === 0) return;
  const what = `other namespaces of this containerd have the same bytes (${others.join(', ')})`;
  throw new HawserError('FailedPrecondition', `Cannot replace the damaged blob ${digest}: ${what}`, {
    hint: `Remove the images there that have the blob (ctr -n ${others[0]} images rm), repair here, and pull them again`,
  });
}

/**
 * Removes record and file of a blob and has `commit` record the new bytes, which containerd must have by now, with the labels of the old
 * record. A lease keeps all that these labels keep, until then; where `commit` fails, for a day. From the removal on the signal is not
 * heard: the blob is to have a record again.
 */
export async function replaceBlob(
  { connection, leases }: ReplaceDeps,
  { digest, labels }: Info,
  commit: (labels: Labels) => Promise<Digest>,
  call: Call,
): Promise<Digest> {
  const { id } = await leases.create({ expiresIn: LIFETIME, ...call });
  const drop = () => ifFound(leases.delete(id, { signal: cleanupSignal() }));
  try {
    for (const { type, id: child } of references(labels)) await leases.add(id, { type, id: child }, call);
    call.signal?.throwIfAborted();
  } catch (err) {
    throw await cleanedUp(err, drop);
  }
  await ifFound(connection.call('content.v1.Content/Delete', { digest }));
  await leases.collect();
  const committed = await commit(labels);
  await drop();
  return committed;
}
