import type { Transports } from '../ports/transport.ts';
import { type AddressClass, classify, classOf, mostPublic } from './addresses.ts';

/** The class of a registry's own addresses, by which it is decided where the registry may lead. */
export type Reach = (registry: URL) => Promise<AddressClass>;

/** By the addresses that the registry's name has, looked up once; by the name itself where it cannot be looked up. */
export function reachByLookup({ lookup }: Pick<Transports, 'lookup'>): Reach {
  const known = new Map<string, Promise<AddressClass>>();
  const look = async (hostname: string): Promise<AddressClass> => {
    const spelled = classify(hostname);
    if (spelled !== 'public' || lookup === undefined) return spelled;
    const addresses = await lookup(hostname).catch(() => []);
    return mostPublic(addresses.map(classOf)) ?? spelled;
  };
  return async ({ hostname }) => {
    const found = known.get(hostname) ?? look(hostname);
    known.set(hostname, found);
    return await found;
  };
}
