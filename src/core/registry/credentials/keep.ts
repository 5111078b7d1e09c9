/** Credentials into Docker's config.json, or into the helper that the file names, and out of them. */
import { cleanedUp, closingAfter } from '../../async/cleanup.ts';
import { HawserError, hintOf, ifFound, isKind, kindOf, messageOf, wrap } from '../../errors.ts';
import { parseJson } from '../../oci/json.ts';
import type { Call } from '../../ports/call.ts';
import type { Runtime } from '../../runtime.ts';
import { printable } from '../redact.ts';
import { helperOf, isDockerHub, parseAuthFile, serverOf } from './auth-file.ts';
import { HELPER_TIME_LIMIT } from './helper.ts';

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
const MAX_OUTPUT = 64 * 1024;
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
    await runHelper(deps, named.name, 'store', JSON.stringify(entry), call);
    if (dropEntries(before, host) || helper !== undefined)
      await changeDocument(deps, path, call, (document) => {
        nameHelper(document);
        dropEntries(document, host);
      });
    return { place: `docker-credential-${named.name}`, isPlain: false };
  }
  const bytes = new TextEncoder().encode(`${username}:${secret}`);
  const auth = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  await changeDocument(deps, path, call, (document) => {
    if (nameHelper(document) !== undefined)
      throw new HawserError('FailedPrecondition', `${path} names a helper for ${host} since a moment`, {
        hint: 'Log in again: the helper then keeps the password',
      });
    dropEntries(document, host);
    member(document, 'auths')[serverOf(host)] = { auth };
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
  if (named !== undefined) await runHelper(deps, named.name, 'erase', named.server, call);
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
  const suffix = Array.from(random(6), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const made = `${path}.${suffix}`;
  try {
    const file = await fs.open(made, 'exclusive', 0o600, call);
    await closingAfter(
      async () => {
        await file.write(new TextEncoder().encode(`${JSON.stringify(document, undefined, '\t')}\n`), 0);
        await file.sync();
      },
      () => file.close(),
    );
    await fs.rename(made, path, call);
  } catch (err) {
    throw await cleanedUp(wrap(`Cannot change ${path}`, err), () => fs.remove(made, { tree: true }));
  }
}

/** `input` goes to the helper and into no message. */
async function runHelper(
  { programs }: KeepDeps,
  name: string,
  verb: 'store' | 'erase',
  input: string,
  call: Call,
): Promise<void> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, err?: unknown): HawserError =>
    new HawserError(
      err === undefined || kindOf(err) === 'NotFound' ? 'FailedPrecondition' : kindOf(err),
      `Cannot ${verb} the credentials with ${program}: ${why}`,
      { cause: err, hint: hintOf(err) ?? `Mend ${program}, or name another helper with --helper` },
    );
  const how = { input, timeLimit: HELPER_TIME_LIMIT, outputLimit: MAX_OUTPUT, ...call };
  const { code, stdout, stderr } = await programs.run(program, [verb], how).catch((err: unknown) => {
    call.signal?.throwIfAborted();
    throw failed(messageOf(err), err);
  });
  const said = stderr.trim() || stdout.trim();
  if (code === 0 || (verb === 'erase' && said.includes('not found'))) return;
  const why = code === undefined ? 'it was killed' : `exit ${code}`;
  throw failed(said === '' ? why : `${why}: ${printable(said, 300)}`);
}
