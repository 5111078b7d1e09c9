/**
 * Where a registry may send us. Literal addresses that only mean something inside a machine or a private network are not
 * to be reached because a server outside says so (token realms, redirects).
 */
import { orAborted } from '../async/abort.ts';
import { isKind, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { TransportOptions, Transports } from '../ports/transport.ts';
import { type AddressClass, classify, classOf, mayLead, mostPublic } from './addresses.ts';

/** The class of a registry's own addresses, by which it is decided where the registry may lead. */
export type Reach = (registry: URL, call: Call) => Promise<AddressClass>;

/**
 * By the addresses that the registry's name has, looked up once; by the name itself where it has none here (a mirror stands for it)
 * or a proxy looks it up. A look-up that fails is not remembered, and may be tried again (Unavailable).
 */
export function reachByLookup(
  { lookup }: Pick<Transports, 'lookup'>,
  proxy: TransportOptions['proxy'] = () => undefined,
): Reach {
  const known = new Map<string, Promise<AddressClass>>();
  const look = async (registry: URL): Promise<AddressClass> => {
    const { hostname } = registry;
    const spelled = classify(hostname);
    if (spelled !== 'public' || lookup === undefined) return spelled;
    try {
      return mostPublic((await lookup(hostname)).map(classOf)) ?? spelled;
    } catch (err) {
      if (proxy(registry) !== undefined) return spelled;
      known.delete(hostname);
      if (isKind(err, 'NotFound')) return spelled;
      throw wrap(`Cannot tell where ${hostname} may lead`, err);
    }
  };
  return async (registry, { signal }) => {
    signal?.throwIfAborted();
    const found = known.get(registry.hostname) ?? look(registry);
    known.set(registry.hostname, found);
    return await orAborted(found, signal);
  };
}

/** Why a registry may not lead to a target. */
export interface Refusal {
  readonly why: string;
  /** The end of a hint: what the user or the operator can change. '' where nothing helps. */
  readonly advice: string;
}

const NOT_HTTP: Refusal = { why: 'it is neither http nor https', advice: '' };
/** Registries that do not know of a proxy before them name themselves by http. */
const OWN_ADDRESS =
  '. A registry behind a proxy that ends TLS has to be told its own address with https, which its operator can do';

/** For a target without TLS that something with TLS names. */
export function leavesTls(why: string): Refusal {
  return { why, advice: OWN_ADDRESS };
}

interface Leader {
  readonly registry: URL;
  readonly reach: Reach;
}

/** Why this registry may not lead to the target's address as it is spelled; undefined when it may, and for names. */
export async function redirectRefusal(target: URL, leader: Leader, call: Call): Promise<Refusal | undefined> {
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return NOT_HTTP;
  if (target.host === leader.registry.host) return undefined;
  const why = (spelled: AddressClass) => `this registry may not lead to a ${spelled} address`;
  return await addressRefusal(target, leader, call, why);
}

/** Why this realm may not be asked for tokens; undefined when it may. Else like `redirectRefusal`. */
export async function realmRefusal(realm: URL, leader: Leader, call: Call): Promise<Refusal | undefined> {
  const { registry } = leader;
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return NOT_HTTP;
  if (realm.protocol === 'http:' && registry.protocol !== 'http:') {
    return leavesTls('it has no TLS, though the registry has');
  }
  if (realm.hostname === registry.hostname) return undefined;
  const why = (spelled: AddressClass) => `a registry may not lead to a ${spelled} address other than its own`;
  return await addressRefusal(realm, leader, call, why);
}

/** Private and loopback addresses can be allowed. */
async function addressRefusal(
  target: URL,
  { registry, reach }: Leader,
  call: Call,
  why: (spelled: AddressClass) => string,
): Promise<Refusal | undefined> {
  const spelled = classify(target.hostname);
  // All may lead to a public address, and none to a special one: the registry is not looked up for these.
  if (spelled === 'public') return undefined;
  if (spelled === 'special') return { why: why(spelled), advice: '' };
  if (mayLead(await reach(registry, call), spelled)) return undefined;
  const advice = `. If it is meant to, this allows it: --reach ${spelled}, or reach = "${spelled}" at the registry in hosts.toml`;
  return { why: why(spelled), advice };
}
