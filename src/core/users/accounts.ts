/** /etc/passwd and /etc/group of an image: hostile text, read with limits and range checks (passwd(5), group(5)). */
import { HawserError } from '../errors.ts';

/** Bytes. A real one has some ten thousand at most. */
export const MAX_ACCOUNTS_BYTES: number = 4 * 1024 * 1024;
/** Linux's NGROUPS_MAX is 65536; runtimes hand each one to setgroups(2). */
const MAX_GROUPS = 1024;
/** Runtimes take no ids above: those would wrap around to others', root's included (CVE-2024-40635). */
const MAX_ID = 0x7fffffff;
const MAX_LINE = 1 << 20;

export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Groups of which the user is a member, each once, ascending, without `gid`. */
  readonly additionalGids: readonly number[];
}

export interface Accounts {
  /** Undefined: the image has no such file. */
  readonly passwd: Uint8Array | undefined;
  readonly group: Uint8Array | undefined;
}

/**
 * `user`, `user:group`, `uid`, `uid:gid` and mixtures (image-spec config.md, User). '' is root. A number is taken as it is; its
 * groups are those of the account that has it, else group 0. With a group that is given there are no additional ones. NotFound
 * for names that the image does not have, InvalidArgument for numbers out of range.
 */
export function findUser(spec: string, accounts: Accounts): User {
  const cut = spec.indexOf(':');
  const [userPart, groupPart] = cut < 0 ? [spec, ''] : [spec.slice(0, cut), spec.slice(cut + 1)];
  const uid = number(userPart, spec);
  const name = userPart === '' ? '0' : userPart;
  const account = findAccount(accounts.passwd, uid ?? (userPart === '' ? 0 : undefined), name, spec);
  if (account === undefined && uid === undefined && userPart !== '') {
    throw new HawserError('NotFound', `the image has no user ${JSON.stringify(userPart)} in /etc/passwd`);
  }
  const user = { uid: uid ?? account?.uid ?? 0, gid: account?.gid ?? 0 };
  if (groupPart !== '')
    return { uid: user.uid, gid: findGroup(groupPart, accounts, spec), additionalGids: [] };
  const login = account?.login ?? (userPart === '' ? 'root' : undefined);
  const additionalGids = login === undefined ? [] : memberships(accounts.group, login, user.gid, spec);
  return { ...user, additionalGids };
}

/** Undefined for what is no number. Digits only: no sign, no space. */
function number(text: string, spec: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  if (value <= MAX_ID) return value;
  throw new HawserError('InvalidArgument', `the user ${JSON.stringify(spec)}: ids go from 0 to ${MAX_ID}`);
}

function findAccount(
  passwd: Uint8Array | undefined,
  uid: number | undefined,
  name: string,
  spec: string,
): { login: string; uid: number; gid: number } | undefined {
  for (const [login = '', , uidText = '', gidText = ''] of records(passwd)) {
    if (uid === undefined ? login !== name : !sameNumber(uidText, uid)) continue;
    const found = { uid: number(uidText, spec), gid: number(gidText, spec) };
    if (found.uid === undefined || found.gid === undefined) throw badLine('/etc/passwd', login);
    return { login, uid: found.uid, gid: found.gid };
  }
  return undefined;
}

function sameNumber(text: string, value: number): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) === value;
}

function findGroup(text: string, accounts: Accounts, spec: string): number {
  const gid = number(text, spec);
  if (gid !== undefined) return gid;
  for (const [name = '', , gidText = ''] of records(accounts.group)) {
    if (name !== text) continue;
    const found = number(gidText, spec);
    if (found === undefined) throw badLine('/etc/group', name);
    return found;
  }
  throw new HawserError('NotFound', `the image has no group ${JSON.stringify(text)} in /etc/group`);
}

function memberships(group: Uint8Array | undefined, user: string, gid: number, spec: string): number[] {
  const found = new Set<number>();
  for (const [name = '', , gidText = '', members = ''] of records(group)) {
    if (!members.split(',').includes(user)) continue;
    const id = number(gidText, spec);
    if (id === undefined) throw badLine('/etc/group', name);
    if (id !== gid) found.add(id);
    if (found.size > MAX_GROUPS) {
      throw new HawserError('ResourceExhausted', `the user ${user} is in more than ${MAX_GROUPS} groups`);
    }
  }
  return [...found].sort((a, b) => a - b);
}

function badLine(file: string, name: string): HawserError {
  return new HawserError(
    'InvalidArgument',
    `${file} of the image has no valid id for ${JSON.stringify(name)}`,
  );
}

/** The fields of each line. Comments, empty lines and NIS's `+` are none. */
function* records(file: Uint8Array | undefined): Generator<string[]> {
  if (file === undefined) return;
  if (file.length > MAX_ACCOUNTS_BYTES) {
    throw new HawserError('ResourceExhausted', `an accounts file of more than ${MAX_ACCOUNTS_BYTES} bytes`);
  }
  for (const line of new TextDecoder().decode(file).split('\n')) {
    if (line.length > MAX_LINE || line === '' || /^[#+-]/.test(line)) continue;
    yield line.trimEnd().split(':');
  }
}
