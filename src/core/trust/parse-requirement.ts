import type {
  Format,
  IdentityRule,
  Requirement,
  SignedBy,
  SignerIdentity,
  Signers,
  Source,
} from './requirements.ts';
import {
  asBytes,
  asList,
  asMap,
  asText,
  asTexts,
  exactlyOne,
  type Members,
  membersOf,
  wrongPolicy,
} from './strict.ts';

/** One requirement of a policy. `own`: of hawser's own file. */
export function parseRequirement(value: unknown, where: string, own: boolean): Requirement {
  const type = asText(asMap(value, where).type, `${where}.type`);
  switch (type) {
    case 'insecureAcceptAnything':
    case 'reject':
      membersOf(value, where, ['type']);
      return { type };
    case 'signedBy':
      return {
        type: 'unknown',
        what: 'a GPG signature',
        hint: `Sign with cosign, and ask for that in the policy (${own ? 'sigstore' : 'sigstoreSigned'})`,
      };
    case 'sigstoreSigned':
      return sigstoreSigned(value, where);
    case 'sigstore':
      return own ? sigstore(value, where) : unknown(type, own);
    default:
      return unknown(type, own);
  }
}

function unknown(type: string, own: boolean): Requirement {
  const known = [...(own ? ['sigstore'] : []), 'sigstoreSigned', 'reject', 'insecureAcceptAnything'];
  return {
    type: 'unknown',
    what: `what it calls "${type.slice(0, 80)}"`,
    hint: `Mend the policy: the types that can be checked are ${known.join(', ')}`,
  };
}

const KEYS = ['keyPath', 'keyPaths', 'keyData', 'keyDatas'];
const LOGS = ['rekorPublicKeyPath', 'rekorPublicKeyPaths', 'rekorPublicKeyData', 'rekorPublicKeyDatas'];

/** containers-policy.json(5), sigstoreSigned. */
function sigstoreSigned(value: unknown, where: string): SignedBy {
  const ways = [...KEYS, 'fulcio', 'pki'];
  const members = membersOf(value, where, ['type'], [...ways, ...LOGS, 'signedIdentity']);
  const way = exactlyOne(members, where, ways);
  const hasLogs = LOGS.some((key) => key in members);
  const logs = hasLogs ? sourcesOf(members, where, exactlyOne(members, where, LOGS)) : [];
  if (way === 'fulcio' && !hasLogs) throw wrongPolicy(where, `fulcio needs one of ${LOGS.join(', ')}`);
  if (way === 'pki' && hasLogs) throw wrongPolicy(where, 'pki goes without a log');
  const identity = identityOf(members.signedIdentity, `${where}.signedIdentity`, {
    type: 'matchRepoDigestOrExact',
  });
  return { type: 'signed', signers: signersOf(members, where, way), logs, formats: ['attachment'], identity };
}

function signersOf(members: Members, where: string, way: string): Signers {
  const at = `${where}.${way}`;
  if (way === 'fulcio') {
    const fulcio = membersOf(members.fulcio, at, ['oidcIssuer', 'subjectEmail'], ['caPath', 'caData']);
    return {
      by: 'fulcio',
      authorities: oneSource(fulcio, at, 'ca'),
      issuer: asText(fulcio.oidcIssuer, `${at}.oidcIssuer`),
      email: asText(fulcio.subjectEmail, `${at}.subjectEmail`),
    };
  }
  if (way !== 'pki') return { by: 'key', keys: sourcesOf(members, where, way) };
  const subjects = ['subjectEmail', 'subjectHostname'];
  const files = ['caRootsPath', 'caRootsData', 'caIntermediatesPath', 'caIntermediatesData'];
  const pki = membersOf(members.pki, at, [], [...files, ...subjects]);
  if (!subjects.some((key) => key in pki)) throw wrongPolicy(at, `needs one of ${subjects.join(', ')}`);
  const hasIntermediates = files.slice(2).some((key) => key in pki);
  return {
    by: 'pki',
    roots: oneSource(pki, at, 'caRoots'),
    intermediates: hasIntermediates ? oneSource(pki, at, 'caIntermediates') : undefined,
    email: optionalText(pki, 'subjectEmail', at),
    host: optionalText(pki, 'subjectHostname', at),
  };
}

function optionalText(members: Members, key: string, where: string): string | undefined {
  return key in members ? asText(members[key], `${where}.${key}`) : undefined;
}

/** A relative path would lead to another file from each directory. */
function asPath(value: unknown, where: string): string {
  const path = asText(value, where);
  if (!path.startsWith('/')) throw wrongPolicy(where, `"${path}" is no absolute path`);
  return path;
}

/** `<name>Path` or `<name>Data`. */
function oneSource(members: Members, where: string, name: string): Source {
  const key = exactlyOne(members, where, [`${name}Path`, `${name}Data`]);
  const at = `${where}.${key}`;
  return key.endsWith('Path') ? { path: asPath(members[key], at) } : { data: asBytes(members[key], at) };
}

/** The member `key`: `…Path`, `…Paths`, `…Data` or `…Datas`. */
function sourcesOf(members: Members, where: string, key: string): readonly Source[] {
  const at = `${where}.${key}`;
  const texts = key.endsWith('s') ? asTexts(members[key], at) : [asText(members[key], at)];
  return texts.map((text) =>
    /Paths?$/.test(key) ? { path: asPath(text, at) } : { data: asBytes(text, at) },
  );
}

const FORMATS: readonly Format[] = ['attachment', 'bundle'];

/** hawser's own: either format, by keys or by identities under a trusted root. */
function sigstore(value: unknown, where: string): SignedBy {
  const ways = [...KEYS, 'identities'];
  const others = ['trustedRootPath', 'trustedRootData', 'formats', 'signedIdentity'];
  const members = membersOf(value, where, ['type'], [...ways, ...others]);
  const way = exactlyOne(members, where, ways);
  const hasRoot = 'trustedRootPath' in members || 'trustedRootData' in members;
  if (way !== 'identities' && hasRoot) throw wrongPolicy(where, 'a trusted root goes with identities');
  const signers: Signers =
    way === 'identities'
      ? {
          by: 'root',
          root: oneSource(members, where, 'trustedRoot'),
          identities: identitiesOf(members.identities, `${where}.identities`),
        }
      : { by: 'key', keys: sourcesOf(members, where, way) };
  return {
    type: 'signed',
    signers,
    logs: [],
    formats: 'formats' in members ? formatsOf(members.formats, `${where}.formats`) : FORMATS,
    identity: identityOf(members.signedIdentity, `${where}.signedIdentity`, { type: 'matchRepository' }),
  };
}

function identitiesOf(value: unknown, where: string): readonly SignerIdentity[] {
  const list = asList(value, where);
  if (list.length === 0) throw wrongPolicy(where, 'an empty list');
  return list.map((one, index) => {
    const at = `${where}[${index}]`;
    const { issuer, subject } = membersOf(one, at, ['issuer', 'subject']);
    return { issuer: asText(issuer, `${at}.issuer`), subject: asText(subject, `${at}.subject`) };
  });
}

function formatsOf(value: unknown, where: string): readonly Format[] {
  const texts = asTexts(value, where);
  if (new Set(texts).size !== texts.length) throw wrongPolicy(where, 'a format twice');
  return texts.map((text) => {
    const format = FORMATS.find((one) => one === text);
    if (format === undefined) throw wrongPolicy(where, `must be some of ${FORMATS.join(', ')}`);
    return format;
  });
}

function identityOf(value: unknown, where: string, byDefault: IdentityRule): IdentityRule {
  if (value === undefined) return byDefault;
  const type = asText(asMap(value, where).type, `${where}.type`);
  switch (type) {
    case 'matchExact':
    case 'matchRepoDigestOrExact':
    case 'matchRepository':
      membersOf(value, where, ['type']);
      return { type };
    case 'exactReference': {
      const { dockerReference } = membersOf(value, where, ['type', 'dockerReference']);
      return { type, dockerReference: asText(dockerReference, `${where}.dockerReference`) };
    }
    case 'exactRepository': {
      const { dockerRepository } = membersOf(value, where, ['type', 'dockerRepository']);
      return { type, dockerRepository: asText(dockerRepository, `${where}.dockerRepository`) };
    }
    case 'remapIdentity': {
      const { prefix, signedPrefix } = membersOf(value, where, ['type', 'prefix', 'signedPrefix']);
      return {
        type,
        prefix: asText(prefix, `${where}.prefix`),
        signedPrefix: asText(signedPrefix, `${where}.signedPrefix`),
      };
    }
    default:
      throw wrongPolicy(where, `unknown type "${type}"`);
  }
}
