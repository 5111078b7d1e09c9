/** Ends a lease, and with it the interrupted downloads that no other lease protects: nobody else means to go on with them. */
import type { Backend } from '../backend.ts';
import { ifFound } from '../errors.ts';
import type { Call } from '../ports/call.ts';

type Roles = Pick<Backend, 'content' | 'leases'>;

async function ingestsOf({ leases }: Roles, id: string, call: Call): Promise<string[]> {
  const resources = (await ifFound(leases.resources(id, call))) ?? [];
  return resources.filter(({ type }) => type === 'ingests').map((one) => one.id);
}

/** The refs of the downloads that go with the lease. */
export async function downloadsOf(roles: Roles, id: string, call: Call): Promise<string[]> {
  const own = new Set(await ingestsOf(roles, id, call));
  if (own.size === 0) return [];
  for (const other of await roles.leases.list(call)) {
    if (other.id === id) continue;
    for (const ref of await ingestsOf(roles, other.id, call)) own.delete(ref);
  }
  return [...own];
}

/** NotFound when there is no such lease. A download that a live process writes, or has taken under another lease meanwhile, stays. */
export async function endLease(roles: Roles, id: string, call: Call): Promise<void> {
  const refs = await downloadsOf(roles, id, call);
  await roles.leases.delete(id, call);
  for (const ref of refs) await ifFound(roles.content.abort(ref, { unleased: true, ...call }), 'Unavailable');
}
