/** Which policy holds: the one that was named, hawser's own file, or none; and what the system's policy would have said. */
import { absolutePath } from '../absolute-path.ts';
import { HawserError, hintOf, ifFound, isKind, reasonOf, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type { HostSystem } from '../ports/host.ts';
import type { Reference } from '../reference/reference.ts';
import type { FileGuard } from '../users/file-guard.ts';
import { MAX_POLICY, type Policy, parsePolicy } from './policy.ts';
import type { Signers } from './requirements.ts';
import { applied } from './scopes.ts';

export interface PolicyParts {
  readonly fs: Pick<FileSystem, 'readFile'>;
  readonly host: Pick<HostSystem, 'cwd' | 'env' | 'uid'>;
  readonly guard: FileGuard;
}

/** What a user says of whom to trust. */
export interface PolicyChoice {
  /** A file, `system` for the policy of podman and skopeo, or `none`. Undefined: HAWSER_POLICY, else hawser's own file if there is one. */
  readonly policy?: string | undefined;
  /** In the place of a policy: files of public keys, any of which will do. */
  readonly keys?: readonly string[] | undefined;
  /** In the place of a policy: a subject (an e-mail address or a URI) that `issuer` has identified, under the trusted root. */
  readonly identity?: string | undefined;
  /** Who has identified the subject (the OIDC issuer), as a URL. */
  readonly issuer?: string | undefined;
  /** A file: sigstore's trusted root, in JSON. */
  readonly trustedRoot?: string | undefined;
}

/** Where hawser's own policy is. */
export const OWN_POLICY = '/etc/hawser/policy.json';

/** `policy`: undefined when none holds, as nobody has made one, or `none` was said. `note`: what could not be known. */
export interface Chosen {
  readonly policy: Policy | undefined;
  readonly note?: string | undefined;
}

/** Which policy holds. InvalidArgument for a choice that contradicts itself, and for a file that is no policy. */
export async function choosePolicy(parts: PolicyParts, choice: PolicyChoice): Promise<Chosen> {
  const signers = signersOf(parts, choice);
  if (signers !== undefined) {
    if (choice.policy !== undefined)
      throw new HawserError('InvalidArgument', 'Cannot use a policy beside keys or an identity', {
        hint: 'A policy can name keys and identities itself; leave one of them away',
      });
    return { policy: ofOneRequirement(signers) };
  }
  const named = choice.policy ?? (parts.host.env('HAWSER_POLICY') || undefined);
  if (named === 'none') return { policy: undefined };
  if (named === 'system') return { policy: await systemPolicy(parts, {}) };
  if (named !== undefined)
    return { policy: await readPolicy(parts, absolutePath(named, parts.host), true, {}) };
  return await ownPolicy(parts);
}

/** hawser's own file, if there is one. A file that this user may not read is an error. A sandbox that was not told of the file hides whether there is one. */
export async function ownPolicy(parts: PolicyParts): Promise<Chosen> {
  try {
    return { policy: await ifFound(readPolicy(parts, OWN_POLICY, true, {})) };
  } catch (err) {
    if (reasonOf(err, 'errno')?.sandbox !== true) throw err;
    const hint = [hintOf(err) ?? 'Allow reading the file', 'or say --policy none'].join(', ');
    return { policy: undefined, note: `Cannot see whether there is a policy ${OWN_POLICY}. ${hint}` };
  }
}

/** Whether nobody has said which policy holds, so that the one of the system may be missed. */
export function isUnsaid({ host }: PolicyParts, { policy, keys = [], identity }: PolicyChoice): boolean {
  return policy === undefined && keys.length === 0 && identity === undefined && !host.env('HAWSER_POLICY');
}

/** A line about the system's policy where that would not simply accept the image, and no policy holds. Undefined: nothing to say. */
export async function missedPolicy(
  parts: PolicyParts,
  reference: Reference,
  call: Call,
): Promise<string | undefined> {
  let policy: Policy;
  try {
    // Nobody follows the file: whoever could have changed it only makes a line appear.
    policy = await systemPolicy({ ...parts, guard: async () => {} }, call);
  } catch {
    call.signal?.throwIfAborted();
    // Nobody has asked for that file: what is wrong with it is for those who use it.
    return undefined;
  }
  const { scope, requirements } = applied(policy, reference);
  if (requirements.every(({ type }) => type === 'insecureAcceptAnything')) return undefined;
  const asks = requirements.some(({ type }) => type === 'reject') ? 'refuses it' : 'asks for a signature';
  return `${policy.name} (scope ${scope}) ${asks}, but hawser does not follow that file by itself: --policy system does; --policy none says that none is meant`;
}

function signersOf(parts: PolicyParts, choice: PolicyChoice): Signers | undefined {
  const { keys = [], identity, issuer, trustedRoot } = choice;
  if (identity === undefined && issuer === undefined && trustedRoot === undefined) {
    const paths = keys.map((path) => ({ path: absolutePath(path, parts.host) }));
    return paths.length === 0 ? undefined : { by: 'key', keys: paths };
  }
  if (keys.length > 0)
    throw new HawserError('InvalidArgument', 'Cannot use keys and an identity together', {
      hint: 'A policy can ask for either, or both (--policy FILE)',
    });
  if (identity === undefined || issuer === undefined || trustedRoot === undefined)
    throw new HawserError('InvalidArgument', 'An identity, its issuer and a trusted root go together', {
      hint: 'Give --verify-identity, --verify-issuer and --trusted-root (cosign trusted-root create makes one)',
    });
  const root = { path: absolutePath(trustedRoot, parts.host) };
  return { by: 'root', root, identities: [{ issuer, subject: identity }] };
}

function ofOneRequirement(signers: Signers): Policy {
  const requirement = {
    type: 'signed',
    signers,
    logs: [],
    formats: ['attachment', 'bundle'],
    identity: { type: 'matchRepository' },
  } as const;
  return { name: 'of the command line', fallback: [requirement], scopes: new Map() };
}

/** containers-policy.json(5), FILES. NotFound: there is none. */
async function systemPolicy(parts: PolicyParts, call: Call): Promise<Policy> {
  const { host } = parts;
  const named = host.env('CONTAINERS_POLICY_JSON');
  if (named) return await readPolicy(parts, absolutePath(named, host), false, call);
  const home = host.env('HOME');
  const config = host.env('XDG_CONFIG_HOME') || (home ? `${home}/.config` : undefined);
  const dirs = [...(config === undefined ? [] : [config]), '/etc', '/usr/share'];
  for (const dir of dirs) {
    const found = await ifFound(
      readPolicy(parts, `${dir}/containers/policy.json`, false, call, dir !== config),
    );
    if (found !== undefined) return found;
  }
  throw new HawserError('NotFound', 'There is no policy of the system', {
    hint: `Looked for containers/policy.json in ${dirs.join(', ')}; --policy FILE names another file`,
  });
}

/** NotFound: there is no such file. `ofSystem`: only root may change that one. */
async function readPolicy(
  { fs, guard }: PolicyParts,
  path: string,
  own: boolean,
  call: Call,
  ofSystem = path === OWN_POLICY,
): Promise<Policy> {
  let bytes: Uint8Array;
  try {
    bytes = await fs.readFile(path, MAX_POLICY, call);
    await guard(path, ofSystem, call);
  } catch (err) {
    const hint = isKind(err, 'NotFound')
      ? 'Check the path; a relative one begins at the working directory'
      : undefined;
    throw wrap(`Cannot use the policy ${path}`, err, hint);
  }
  return { ...parsePolicy(bytes, path, own), ofSystem };
}
