/** A policy of signatures, as containers-policy.json(5) has it, with one kind of requirement more in hawser's own files. */
import { parseJson } from '../oci/json.ts';
import { parseRequirement } from './parse-requirement.ts';
import type { Requirement } from './requirements.ts';
import { asList, asMap, membersOf, wrongPolicy } from './strict.ts';

/** Bytes of a policy's file. */
export const MAX_POLICY: number = 1024 * 1024;

/** What applies to the references of a scope; all of them must hold. */
export type Requirements = readonly Requirement[];

export interface Policy {
  /** For messages: where the policy is from. */
  readonly name: string;
  readonly fallback: Requirements;
  /** Of the transport `docker`: a registry's images. '' is the scope of all. */
  readonly scopes: ReadonlyMap<string, Requirements>;
  /** The system's, and not one that a user has named: only root may change the files that it names (`FileGuard`). */
  readonly ofSystem?: boolean | undefined;
}

/**
 * Reads a policy. `own`: the file is hawser's, which may hold requirements of the type `sigstore`. Unknown, absent and double members
 * are InvalidArgument; but a requirement that hawser cannot check is kept, and refuses the images of its scope.
 */
export function parsePolicy(bytes: Uint8Array, name: string, own: boolean): Policy {
  const where = `policy ${name}:`;
  const policy = membersOf(parseJson(bytes, `policy ${name}`), where, ['default'], ['transports']);
  const read = (value: unknown, at: string) => requirementsOf(value, at, own);
  const fallback = read(policy.default, `${where} default`);
  const scopes = new Map<string, Requirements>();
  for (const [transport, all] of Object.entries(asMap(policy.transports ?? {}, `${where} transports`))) {
    for (const [scope, list] of Object.entries(asMap(all, `${where} transports.${transport}`))) {
      const requirements = read(list, `${where} transports.${transport}["${scope}"]`);
      if (transport === 'docker') scopes.set(scope, requirements);
    }
  }
  return { name, fallback, scopes };
}

/** An empty list would let everything in, which nobody means: it is refused, as podman does. */
function requirementsOf(value: unknown, where: string, own: boolean): Requirements {
  const list = asList(value, where);
  if (list.length === 0) throw wrongPolicy(where, 'an empty list of requirements');
  return list.map((one, at) => parseRequirement(one, `${where}[${at}]`, own));
}
