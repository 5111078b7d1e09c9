/** Whether the name that somebody has signed is one that the policy takes for the image asked for. */
import { messageOf } from '../errors.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import type { IdentityRule } from './requirements.ts';

/** A name with a tag, a digest, or neither. */
interface Name {
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Undefined: the name will do. Else why not, for people. */
export function nameMismatch(rule: IdentityRule, signed: string, reference: Reference): string | undefined {
  let name: Name;
  try {
    name = nameOf(signed);
  } catch (err) {
    return `names no image: ${messageOf(err)}`;
  }
  if (isMatch(rule, name, askedFor(reference))) return undefined;
  return `names ${signed.slice(0, 200)}, where ${wanted(rule, reference)} is needed`;
}

function isMatch(rule: IdentityRule, signed: Name, asked: Name): boolean {
  switch (rule.type) {
    case 'matchExact':
      return isSame(signed, asked);
    case 'matchRepoDigestOrExact':
      return repoDigestOrExact(signed, asked);
    case 'matchRepository':
      return signed.repository === asked.repository;
    case 'exactReference':
      return isSame(signed, nameOf(rule.dockerReference));
    case 'exactRepository':
      return signed.repository === nameOf(rule.dockerRepository).repository;
    case 'remapIdentity':
      return repoDigestOrExact(signed, { ...asked, repository: remapped(rule, asked.repository) });
  }
}

/** Names without tag and digest are never the same: they leave open which image of a repository is meant. */
function isSame(signed: Name, asked: Name): boolean {
  if (signed.tag === undefined && signed.digest === undefined) return false;
  return signed.repository === asked.repository && signed.tag === asked.tag && signed.digest === asked.digest;
}

/** By tag, the same tag must be signed; whoever asks by digest alone takes any tag of the repository. */
function repoDigestOrExact(signed: Name, asked: Name): boolean {
  if (signed.tag === undefined && signed.digest === undefined) return false;
  if (signed.repository !== asked.repository) return false;
  if (asked.tag !== undefined) return signed.tag === asked.tag && signed.digest === undefined;
  return signed.tag !== undefined || signed.digest === asked.digest;
}

/** The prefix is replaced where it ends with a component of the name. */
function remapped({ prefix, signedPrefix }: { prefix: string; signedPrefix: string }, name: string): string {
  if (name === prefix) return signedPrefix;
  return name.startsWith(`${prefix}/`) ? signedPrefix + name.slice(prefix.length) : name;
}

function askedFor({ host, repository, tag, digest }: Reference): Name {
  return { repository: `${host}/${repository}`, tag, digest };
}

/** As written: a name without a tag gets none. InvalidArgument for what is no name. */
function nameOf(text: string): Name {
  const { host, repository, tag, digest } = parseReference(text);
  const hasTag = text.split('@')[0]?.split('/').at(-1)?.includes(':') === true;
  return { repository: `${host}/${repository}`, tag: hasTag ? tag : undefined, digest };
}

function wanted(rule: IdentityRule, reference: Reference): string {
  const asked = askedFor(reference);
  switch (rule.type) {
    case 'exactReference':
      return rule.dockerReference;
    case 'exactRepository':
      return rule.dockerRepository;
    case 'matchRepository':
      return asked.repository;
    case 'remapIdentity':
      return `${remapped(rule, asked.repository)}${asked.tag === undefined ? '' : `:${asked.tag}`}`;
    default:
      return asked.tag === undefined ? `a tag of ${asked.repository}` : `${asked.repository}:${asked.tag}`;
  }
}
