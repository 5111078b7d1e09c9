/** The collection that nobody has to remember: after a verb, when it is due and in nobody's way. */
import { isExpired } from '../../core/gc/references.ts';
import { LEASE_EXPIRE_LABEL } from '../../core/leases/lease-store.ts';
import type { Call } from '../../core/ports/call.ts';
import { collect } from './collect.ts';
import { COLLECTION_INTERVAL, dueTime, setDue, setUnmet, unmetSize } from './due-time.ts';
import { OWNER_LABEL } from './owner.ts';
import type { SizeAsks } from './policy.ts';
import { text } from './rows.ts';
import type { Store } from './store.ts';

/** Milliseconds for the removal of files. The steps before have no limit: the next collection would repeat them, and get no further. */
const REMOVAL_TIME = 10_000;

/** Whether nobody else is at work: no other process has the store open to write, and no verb of this one holds a lease. */
async function isAlone(store: Store, call: Call): Promise<boolean> {
  if (isBusy(store)) return false;
  for (const { name } of await store.runtime.fs.list(store.path('run'), call)) {
    const [, id] = /^([0-9a-f]{16})\.lock$/.exec(name) ?? [];
    if (id === undefined || id === store.owner.id) continue;
    if ((await store.owner.look(id, call)) === 'alive') return false;
  }
  return true;
}

/** Whether a verb of this process holds a lease. */
function isBusy({ db, owner }: Store): boolean {
  const working = db.prepare("SELECT 1 FROM labels WHERE type = 'leases' AND key = ? AND value = ? LIMIT 1");
  return working.get(OWNER_LABEL, owner.id) !== undefined;
}

/** Whether a lease of any namespace has run out. */
function hasExpired({ db }: Store, now: number): boolean {
  const times = db
    .prepare("SELECT value FROM labels WHERE type = 'leases' AND key = ?")
    .all(LEASE_EXPIRE_LABEL);
  return times.some((row) => isExpired({ [LEASE_EXPIRE_LABEL]: text(row, 'value') }, now));
}

/** What the policy of a store asks for. */
interface Policy {
  /** What the size of the store asks for. */
  readonly size: () => Promise<SizeAsks>;
  readonly tell: (message: string) => void;
  readonly before: () => Promise<void>;
}

/**
 * `before`: what is to be done ahead of a collection; where that fails, the collection is made all the same, and its error thrown then.
 * `size` is asked once for the images that were recorded since. A time that a clock far ahead has set is no reason to wait for it.
 */
export async function collectWhenDue(store: Store, call: Call, policy: Policy): Promise<void> {
  if (store.readOnly) return;
  const now = store.now();
  const at = dueTime(store);
  const isDue = hasExpired(store, now) || (at !== undefined && (now >= at || at > now + COLLECTION_INTERVAL));
  if (isDue || (await isTooLarge(store, call, policy))) await collectAlone(store, call, policy);
  else if (at === undefined) await store.write(() => setDue(store, now + COLLECTION_INTERVAL), call);
}

async function collectAlone(store: Store, call: Call, { before }: Pick<Policy, 'before'>): Promise<void> {
  if (!(await isAlone(store, call))) return;
  const [ahead] = await Promise.allSettled([before()]);
  await collect(store, { ...call, removalTime: REMOVAL_TIME });
  if (ahead.status === 'rejected') throw ahead.reason;
}

/**
 * Whether images that have come since make a collection due: a yes stays in the store for whoever is alone in it. A size that no collection
 * reaches is told once for each max-size, and is no reason for one.
 */
async function isTooLarge(store: Store, call: Call, { size, tell }: Policy): Promise<boolean> {
  // Of many images side by side, the last asks: measuring reads the whole store.
  if (!store.hasNewImage || isBusy(store)) return false;
  store.hasNewImage = false;
  const asks = await size();
  const unmet = asks.type === 'more' ? asks.maxSize : undefined;
  const isNews = unmet !== unmetSize(store);
  if (isNews) await store.write(() => setUnmet(store, unmet), call);
  if (asks.type === 'more' && isNews) tell(asks.message);
  if (asks.type !== 'collection') return false;
  await store.write(() => setDue(store, store.now()), call);
  return true;
}
