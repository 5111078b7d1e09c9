/** Credentials into Docker's config.json, or into the helper that the file names, and out of them. */
import { cleanedUp, closingAfter, withOpen } from '../../async/cleanup.ts';
import { toHex } from '../../bytes.ts';
import { HawserError, ifFound, isKind, wrap } from '../../errors.ts';
import { parseJson } from '../../oci/json.ts';
import type { Call } from '../../ports/call.ts';
import type { Runtime } from '../../runtime.ts';
import { helperOf, isDockerHub, parseAuthFile, serverOf } from './auth-file.ts';
import { basicPair } from './credential.ts';
import { changeHelper } from './helper.ts';

export interface KeepDeps extends Pick<Runtime, 'fs' | 'programs' | 'clock'> {
  readonly random: (length: number) => Uint8Array;
}

/** Where the credentials of a host are kept. */
export interface KeptIn {
  /** `docker-credential-pass`, or the path of the file. */
  readonly place: string;
  /** In the file, where whoever reads the file has the password. */
  readonly isPlain: boolean;
}

const MAX_FILE_BYTES = 1024 * 1024;
const LOCK_TRIES = 100;
/** Milliseconds. */
const LOCK_PAUSE = 50;

/** `helper`: is named in the file for this host from now on. All else that the file has stays. */
export async function keepCredential(
  deps: KeepDeps,
  path: string,
  {
    host,
    username,
    secret,
    helper,
  }: {
    readonly host: string;
    readonly username: string;
    readonly secret: string;
    readonly helper?: string | undefined;
  },
  call: Call,
): Promise<KeptIn> {
  const nameHelper = (document: Document): ReturnType<typeof helperOf> => {
    if (helper !== undefined) member(document, 'credHelpers')[serverOf(host)] = helper;
    return helperOf(parseAuthFile(JSON.stringify(document), path), host);
  };
  const before = await readDocument(deps, path, call);
  const named = nameHelper(before);
  if (named !== undefined) {
    const entry = { ServerURL: named.server, Username: username, Secret: secret };
    await changeHelper(
      deps.programs,
      { name: named.name, verb: 'store', input: JSON.stringify(entry) },
      call,
    );
    if (dropEntries(before, host) || helper !== undefined)
      await changeDocument(deps, path, call, (document) => {
        nameHelper(document);
        dropEntries(document, host);
      });
    return { place: `docker-credential-${named.name}`, isPlain: false };
  }
  await changeDocument(deps, path, call, (document) => {
    if (nameHelper(document) !== undefined)
      throw new HawserError('FailedPrecondition', `${path} names a helper for ${host} since a moment`, {
        hint: 'Log in again: the helper then keeps the password',
      });
    dropEntries(document, host);
    member(document, 'auths')[serverOf(host)] = { auth: basicPair(username, secret) };
  });
  return { place: path, isPlain: true };
}

/** Undefined where neither a helper is named for the host nor an entry of the file is its. */
export async function dropCredential(
  deps: KeepDeps,
  path: string,
  host: string,
  call: Call,
): Promise<string | undefined> {
  const document = await readDocument(deps, path, call);
  const named = helperOf(parseAuthFile(JSON.stringify(document), path), host);
  if (named !== undefined)
    await changeHelper(deps.programs, { name: named.name, verb: 'erase', input: named.server }, call);
  const dropped = dropEntries(document, host);
  if (dropped) await changeDocument(deps, path, call, (now) => void dropEntries(now, host));
  if (named !== undefined) return `docker-credential-${named.name}`;
  return dropped ? path : undefined;
}

type Document = Record<string, unknown>;

/** Reads, changes and writes under a lock file: what others keep meanwhile stays. No helper runs in it, so that it takes a moment only. */
async function changeDocument(
  deps: KeepDeps,
  path: string,
  call: Call,
  change: (document: Document) => void,
): Promise<void> {
  const { fs } = deps;
  await fs.mkdir(path.slice(0, path.lastIndexOf('/')), 0o700, { parents: true, ...call });
  const lock = `${path}.lock`;
  await takeLock(deps, path, lock, call);
  await closingAfter(
    async () => {
      const document = await readDocument(deps, path, call);
      change(document);
      await writeDocument(deps, path, document, call);
    },
    () => fs.remove(lock),
  );
}

async function takeLock({ fs, clock }: KeepDeps, path: string, lock: string, call: Call): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      const file = await fs.open(lock, 'exclusive', 0o600, call);
      return await file.close();
    } catch (err) {
      if (!isKind(err, 'AlreadyExists')) throw wrap(`Cannot change ${path}`, err);
      if (tries === LOCK_TRIES)
        throw new HawserError('FailedPrecondition', `Cannot change ${path}: ${lock} is there`, {
          hint: `Another login or logout changes the file; when none is running, remove ${lock}`,
        });
    }
    await clock.sleep(LOCK_PAUSE, call.signal);
  }
}

async function readDocument({ fs }: KeepDeps, path: string, call: Call): Promise<Document> {
  const info = await fs.stat(path, call);
  if (info?.type === 'symlink')
    throw new HawserError('FailedPrecondition', `Cannot change ${path}: it is a symlink`, {
      hint: 'Name the directory of the file itself with DOCKER_CONFIG',
    });
  const bytes = await ifFound(fs.readFile(path, MAX_FILE_BYTES, call));
  // The words of a broken file come from there.
  parseAuthFile(new TextDecoder().decode(bytes), path);
  if (bytes === undefined || bytes.length === 0) return {};
  return { ...(parseJson(bytes, path) as Document) };
}

/** A member of the document, as an object that may be changed. */
function member(document: Document, name: string): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...(document[name] as object | undefined) };
  document[name] = copy;
  return copy;
}

/** Drops the entries that are of this host alone, and of none of its repositories. */
function dropEntries(document: Document, host: string): boolean {
  const auths = member(document, 'auths');
  const names = isDockerHub(host) ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [host];
  const keys = [serverOf(host), ...names.flatMap((name) => [name, `https://${name}`, `https://${name}/`])];
  const found = keys.filter((key) => Object.hasOwn(auths, key));
  for (const key of found) delete auths[key];
  return found.length > 0;
}

/** In one step, and readable by nobody else. */
async function writeDocument(
  { fs, random }: KeepDeps,
  path: string,
  document: Document,
  call: Call,
): Promise<void> {
  const made = `${path}.${toHex(random(6))}`;
  try {
    await withOpen(fs.open(made, 'exclusive', 0o600, call), async (file) => {
      await file.write(new TextEncoder().encode(`${JSON.stringify(document, undefined, '\t')}\n`), 0);
      await file.sync();
    });
    await fs.rename(made, path, call);
  } catch (err) {
    throw await cleanedUp(wrap(`Cannot change ${path}`, err), () => fs.remove(made, { tree: true }));
  }
}
