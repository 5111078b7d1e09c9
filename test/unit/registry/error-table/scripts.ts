/** Scripted registries, and a client that asks them. */
import type { Descriptor } from '../../../../src/core/oci/descriptor.ts';
import { type Digest, parseDigest } from '../../../../src/core/oci/digest.ts';
import { parseReference } from '../../../../src/core/reference/parse.ts';
import type { Reference } from '../../../../src/core/reference/reference.ts';
import type { RegistryOptions } from '../../../../src/core/registry/open.ts';
import type { FetchRequest, Registry } from '../../../../src/core/registry/registry.ts';
import { bytesOf, descriptor, scripted, withClient } from '../../../registry/client.ts';

export type Script = Parameters<typeof scripted>[0];
export type Answer = ReturnType<Script>;

/** A question to a scripted registry, to be asked when the row is run. */
export type Asking = () => Promise<unknown>;

const ME = { username: 'me', secret: 'hunter2', source: '/x/config.json' };
export const asMe: RegistryOptions = { credentials: async () => ME };
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const DIGEST: Digest = parseDigest(`sha256:${'a'.repeat(64)}`);
/** More than a manifest may have. */
export const TOO_MUCH: string = 'x'.repeat((8 << 20) + 1);
export const reference: Reference = parseReference('reg.test/a/b:x');

export function blob(more: Partial<Descriptor> = {}): Descriptor {
  return { ...descriptor(LAYER, DIGEST, 1000), ...more };
}

export function asked(
  script: Script | Answer,
  use: (client: Registry) => Promise<unknown>,
  options: RegistryOptions = {},
): Asking {
  const transports = scripted(typeof script === 'function' ? script : () => script);
  return () => withClient({ transports, ...options }, use);
}

export function resolving(
  script: Script | Answer,
  options: RegistryOptions = {},
  ref = 'reg.test/a/b:x',
): Asking {
  return asked(script, (client) => client.resolve(parseReference(ref)), options);
}

export function finding(script: Script | Answer): Asking {
  return asked(script, (client) => client.find(reference, DIGEST));
}

export function fetching(
  script: Script | Answer,
  request: FetchRequest = {},
  desc: Descriptor = blob(),
  options: RegistryOptions = {},
): Asking {
  const use = async (client: Registry) => await bytesOf(await client.fetcher(reference).fetch(desc, request));
  return asked(script, use, options);
}

export function byMethod(head: Answer, get: Answer): Script {
  return ({ method }) => (method === 'HEAD' ? head : get);
}

export const LIMITS: RegExp =
  /^The registry limits how much may be pulled\. Wait, or give --user: accounts have higher limits$/;
export const NO_REGISTRY: RegExp = /^Is this really a registry\? A proxy or a login page may have answered$/;
