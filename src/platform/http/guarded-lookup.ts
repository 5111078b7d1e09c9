import { lookup as dnsLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { HawserError, messageOf } from '../../core/errors.ts';
import { bareHost } from './authority.ts';
import { ADDRESS_HINT } from './http-failure.ts';

/** As node:net wants it: the addresses of a name that are allowed, or an error with the code ADDRESS_REFUSED. */
export function guardedLookup(allow: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (err, addresses) => {
      if (err !== null) return callback(err, []);
      const allowed = addresses.filter(({ address }) => allow(address));
      const [first] = allowed;
      if (first === undefined) return callback(refused(), []);
      if (options.all === true) return callback(null, allowed);
      callback(null, first.address, first.family);
    });
  };
}

/** An address in the place of a name is not looked up: it is checked here. */
export function refusalOf(hostname: string, allow: (address: string) => boolean): Error | undefined {
  return isAddress(hostname) && !allow(bareHost(hostname)) ? refused() : undefined;
}

/** Whether a URL's hostname is an address, which is not looked up. */
export function isAddress(hostname: string): boolean {
  return isIP(bareHost(hostname)) !== 0;
}

/** NotFound when there is no such name; Unavailable when it cannot be looked up now. */
export async function lookupAll(hostname: string): Promise<readonly string[]> {
  return await new Promise((resolve, reject) => {
    dnsLookup(bareHost(hostname), { all: true }, (err, addresses) => {
      if (err === null) resolve(addresses.map(({ address }) => address));
      else reject(lookupFailure(hostname, err));
    });
  });
}

/** Of the system's look-up of a name. */
export function lookupFailure(hostname: string, cause: NodeJS.ErrnoException): HawserError {
  const code = cause.code === 'ENOTFOUND' ? 'ENOTFOUND' : 'EAI_AGAIN';
  const [kind, what] =
    code === 'ENOTFOUND'
      ? (['NotFound', 'no such host'] as const)
      : (['Unavailable', 'the name could not be looked up'] as const);
  return new HawserError(kind, `looking up ${hostname}: ${what} (${messageOf(cause)})`, {
    cause,
    hint: ADDRESS_HINT,
    reason: { type: 'exchange', code },
  });
}

function refused(): Error {
  return Object.assign(new Error('the address is refused'), { code: 'ADDRESS_REFUSED' });
}
