/** The store's root directory: who may own it and what it may hold. */
import { errnoOf, findError, HawserError, hintOf, isKind, messageOf } from '../../core/errors.ts';
import { componentsOf } from '../../core/paths.ts';
import type { Call } from '../../core/ports/call.ts';
import type { FileInfo } from '../../core/ports/file-system.ts';
import type { Runtime } from '../../core/runtime.ts';

export const DATABASE = 'hawser.db';
/** Rules for images (policy.ts): users may write them before there is a store. */
export const POLICY = 'policy.toml';
/** The uid that the host gives when Deno may not ask for it. */
const UNKNOWN_UID = 65534;
const OURS = new Set(['content', 'snapshots', 'run', 'spare', 'lost+found', POLICY]);

/** Absolute, without `.`, `..` and empty parts. InvalidArgument. */
export function normalizeRoot(root: string): string {
  const parts = componentsOf(root);
  if (!root.startsWith('/') || root.includes('\0') || parts.length === 0) {
    throw new HawserError(
      'InvalidArgument',
      `Cannot use ${JSON.stringify(root)} as the store: it must be an absolute path below /`,
      { hint: 'Name a directory of its own: --root DIR, or HAWSER_ROOT' },
    );
  }
  return `/${parts.join('/')}`;
}

function refuse(root: string, why: string, hint: string): HawserError {
  return new HawserError('FailedPrecondition', `Cannot use the store ${root}: ${why}`, { hint });
}

/** How a path that is not ours is refused. */
interface Refusal {
  readonly error: (why: string, hint: string) => HawserError;
  /** What helps against another owner, beside changing the owner: the hint's beginning. */
  readonly first: string;
  readonly chown: 'chown' | 'chown -h';
  /** What else helps: the hint's end. */
  readonly or: string;
}

function storeRefusal(path: string): Refusal {
  const error = (why: string, hint: string) => refuse(path, why, hint);
  return { error, first: 'Run as the user who owns it, change', chown: 'chown', or: 'or use another --root' };
}

function policyRefusal(path: string, chown: Refusal['chown']): Refusal {
  const error = (why: string, hint: string) =>
    new HawserError('InvalidArgument', `Cannot follow the policy ${path}: ${why}`, { hint });
  return { error, first: 'Change', chown, or: 'or remove it' };
}

/** Looks at the directory `root`, or at the target when `root` is a symlink of ours or of the superuser's. Refuses a symlink to nothing. */
async function inspect(runtime: Runtime, root: string, call?: Call): Promise<FileInfo | undefined> {
  const { fs, host } = runtime;
  const itself = await fs.stat(root, call);
  if (itself?.type !== 'symlink') return itself;
  if (itself.uid !== host.uid && itself.uid !== 0) {
    throw refuse(root, `it is a symbolic link that belongs to user ${itself.uid}`, 'Use another --root');
  }
  const target = await fs.stat(`${root}/.`, call);
  if (target !== undefined) return target;
  const hint = 'Make the directory that it leads to, mount the disk where that is, or use another --root';
  throw refuse(root, 'it is a symbolic link to nothing', hint);
}

/**
 * Refuses what is not ours or what other local users can write to. An ACL shows in the mode: its mask stands for the group's
 * bits.
 */
function checkOurs(runtime: Runtime, path: string, info: FileInfo, refusal = storeRefusal(path)): void {
  const { uid } = runtime.host;
  const { error, first, chown, or } = refusal;
  if (info.uid !== uid) {
    const hint =
      runtime.host.runtime === 'deno' && uid === UNKNOWN_UID
        ? `Allow Deno to ask who the user is (--allow-sys=uid), ${or}`
        : `${first} its owner (${chown} ${uid} ${path}), ${or}`;
    throw error(`it belongs to user ${info.uid}, and this is user ${uid}`, hint);
  }
  if ((info.mode & 0o022) !== 0) {
    const mode = (info.mode & 0o7777).toString(8).padStart(4, '0');
    throw error(`other users may write to it (mode ${mode})`, `chmod go-w ${path}, ${or}`);
  }
}

function checkDirectory(runtime: Runtime, path: string, info: FileInfo): void {
  if (info.type !== 'directory') throw refuse(path, 'it is not a directory', 'Use another --root');
  checkOurs(runtime, path, info);
}

const PARTS = ['run', 'content', 'content/blobs', 'content/ingest', 'snapshots'] as const;

/**
 * Refuses parts that are no directories or that a symlink of another user leads to, and parts open to others who can enter
 * the root. Refuses a database that is no regular file: SQLite would follow a symlink, and make its target.
 */
async function checkParts(runtime: Runtime, root: string, info: FileInfo, call?: Call): Promise<void> {
  const isClosed = (info.mode & 0o011) === 0;
  for (const part of PARTS) {
    const path = `${root}/${part}`;
    const found = await inspect(runtime, path, call);
    if (found === undefined) continue;
    checkDirectory(runtime, path, isClosed ? { ...found, mode: found.mode & ~0o022 } : found);
  }
  for (const suffix of ['', '-wal', '-shm']) {
    const path = `${root}/${DATABASE}${suffix}`;
    const found = await runtime.fs.stat(path, call);
    if (found === undefined) continue;
    if (found.type !== 'file') {
      throw refuse(path, 'it is not a regular file', `Look at ${path}, or use another --root`);
    }
    checkOurs(runtime, path, isClosed ? { ...found, mode: found.mode & ~0o022 } : found);
  }
}

/**
 * Whether there is a policy. InvalidArgument for one, or a symlink to one, of another user but the superuser, and for one that others may
 * write to; NotFound for a symlink to nothing.
 */
export async function hasPolicy(runtime: Runtime, root: string, call?: Call): Promise<boolean> {
  const { fs, host } = runtime;
  const path = `${root}/${POLICY}`;
  const itself = await fs.stat(path, call);
  if (itself === undefined) return false;
  const isLink = itself.type === 'symlink';
  const target = isLink ? await fs.stat(path, { follow: true, ...call }) : itself;
  if (target === undefined) throw new HawserError('NotFound', `${path} is a symbolic link to nothing`);
  // Nobody else reaches what lies in a closed root itself.
  const isClosed = !isLink && (((await fs.stat(`${root}/.`, call))?.mode ?? 0o777) & 0o011) === 0;
  const own = ({ mode, ...info }: FileInfo): FileInfo => {
    return { ...info, mode: isClosed ? mode & ~0o022 : mode, uid: info.uid === 0 ? host.uid : info.uid };
  };
  if (isLink) checkOurs(runtime, path, { ...own(itself), mode: 0 }, policyRefusal(path, 'chown -h'));
  checkOurs(runtime, path, own(target), policyRefusal(path, 'chown'));
  return true;
}

/** True when the root holds a store. A directory with anything else in it is refused. */
async function hasStore(runtime: Runtime, root: string, call?: Call): Promise<boolean> {
  const names = (await runtime.fs.list(root, call)).map((entry) => entry.name);
  if (names.includes(DATABASE)) return true;
  const stranger = names.find((name) => !OURS.has(name) && !name.startsWith(DATABASE));
  if (stranger === undefined) return false;
  const why = `it is not empty (${JSON.stringify(stranger)}) and not a hawser store`;
  throw refuse(root, why, 'Use an empty or a new directory as --root');
}

const OTHER_ROOT = 'Use --root DIR (or HAWSER_ROOT) with a directory of yours';

/** Other users are told of --root. For the superuser, and on a read-only file system, the hint of the error itself is true. */
function explain({ host }: Runtime, root: string, err: unknown): unknown {
  if (!isKind(err, 'PermissionDenied')) return err;
  const ownHint = host.uid === 0 || errnoOf(err) === 'EROFS' ? hintOf(err) : undefined;
  const what = `Cannot use the store ${root}: no permission (${messageOf(err)})`;
  return new HawserError('PermissionDenied', what, {
    hint: ownHint ?? (host.uid === 0 ? OTHER_ROOT : `${OTHER_ROOT}, or run as root`),
    reason: findError(err)?.reason,
    cause: err,
  });
}

/**
 * Makes the root, or checks an existing one: FailedPrecondition when it belongs to another user, others may write to it, or
 * it holds something else; PermissionDenied when it cannot be written. A new store's root gets mode 0700; the mode of an
 * existing store is its owner's choice.
 */
export async function prepareRoot(runtime: Runtime, root: string, call?: Call): Promise<void> {
  const { fs } = runtime;
  try {
    const info = await inspect(runtime, root, call);
    if (info === undefined) await fs.mkdir(root, 0o700, { parents: true, ...call });
    else {
      checkDirectory(runtime, root, info);
      await checkParts(runtime, root, info, call);
    }
    const fresh = !(await hasStore(runtime, root, call));
    if (fresh) await fs.chmod(`${root}/.`, 0o700, call);
    for (const dir of PARTS) {
      await fs.mkdir(`${root}/${dir}`, 0o700, { parents: true, ...call });
    }
    if (fresh) for (const dir of ['content', '.']) await fs.syncDir(`${root}/${dir}`, call);
  } catch (err) {
    throw explain(runtime, root, err);
  }
}

/** Whether there is no store, and nothing of one: the root is absent, or holds at most a policy. Fails as `prepareRoot` does. */
export async function isVacant(runtime: Runtime, root: string, call?: Call): Promise<boolean> {
  try {
    const info = await inspect(runtime, root, call);
    if (info === undefined) return true;
    checkDirectory(runtime, root, info);
    const names = (await runtime.fs.list(`${root}/.`, call)).map(({ name }) => name);
    return names.every((name) => name === POLICY || name === 'lost+found');
  } catch (err) {
    throw explain(runtime, root, err);
  }
}

/** The same checks for reading, without making anything. False when there is no store yet. */
export async function inspectRoot(runtime: Runtime, root: string, call?: Call): Promise<boolean> {
  try {
    const info = await inspect(runtime, root, call);
    if (info === undefined) return false;
    checkDirectory(runtime, root, info);
    await checkParts(runtime, root, info, call);
    return (await runtime.fs.stat(`${root}/${DATABASE}`, call)) !== undefined;
  } catch (err) {
    throw explain(runtime, root, err);
  }
}
