/**
 * Hostile layers beside a canary tree: each stack is applied by the whole path of a worker (decompress, read, write) in
 * overlay, flat and blind mode, what came out is told in lines, and the canary is looked at after each.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import { findError, isKind } from '../../../src/core/errors.ts';
import { applyLayer } from '../../../src/core/layers/apply-layer.ts';
import { rebaseLayer } from '../../../src/core/layers/rebase-layer.ts';
import type { ApplyJob } from '../../../src/core/layers/workers.ts';
import type { CodecChoice } from '../../../src/core/ports/codecs.ts';
import {
  type Dir,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  type Stat,
  type Syscalls,
} from '../../../src/core/ports/syscalls.ts';
import { removeEntry } from '../../../src/core/trees/remove-tree.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { createCodecs } from '../../../src/platform/codecs/native-codecs.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { sourceOf } from '../../support/streams.ts';
import { type ProviderName, providers } from '../../support/this-runtime.ts';
import { tempDir } from '../../support/tmp.ts';
import { syscallsHere } from './stacks.ts';

/** Whether other owners than ours can be given. */
export const inUserNamespace: boolean = !/^\s*0\s+0\s+4294967295\s*$/.test(
  readFileSync('/proc/self/uid_map', 'utf8'),
);
export const OTHER_OWNER: number = inUserNamespace ? 0 : 1234;

/** All there are; in the namespace, which is the second time, the best one. */
export const PROVIDERS: readonly ProviderName[] = inUserNamespace ? providers.slice(0, 1) : providers;

/** `blind`: as overlay, each layer without sight of those below and then rebased (core/layers/extract.ts). */
export const MODES = ['overlay', 'flat', 'blind'] as const;
export type Mode = (typeof MODES)[number];

export interface Result {
  /** One line a path: `d/`, `f=content`, `l->target`, `p|fifo`; `=/first` for another name of a file. */
  readonly lines: readonly string[];
  readonly error: string | undefined;
  readonly hint: string | undefined;
  readonly warnings: readonly string[];
  /** Of the last layer. */
  readonly diffId: string;
}

export interface How {
  readonly job?: Partial<Pick<ApplyJob, 'mediaType' | 'maxBytes' | 'maxRatio' | 'blobSize'>>;
  readonly codec?: CodecChoice;
  /** Looks at the tree while it is there. */
  readonly inspect?: (root: string) => void;
}

export class Arena {
  readonly #sys: Syscalls;
  readonly #tmp = tempDir('hawser-hostile-');
  readonly #home: string = join(this.#tmp.path, 'a/b/home');
  /** The canary's directory. */
  readonly outside: string = join(this.#tmp.path, 'outside');
  readonly #before: string;

  constructor(provider: ProviderName) {
    this.#sys = syscallsHere(provider);
    mkdirSync(join(this.#home, '..'), { recursive: true });
    mkdirSync(join(this.outside, 'etc'), { recursive: true });
    for (const [name, mode] of [
      ['canary', 0o400],
      ['etc/passwd', 0o640],
      ['whitedout', 0o4755],
    ] as const) {
      const path = join(this.outside, name);
      writeFileSync(path, `alive ${name}`);
      execFileSync('setfattr', ['-n', 'user.canary', '-v', name, path]);
      chownSync(path, OTHER_OWNER, OTHER_OWNER);
      chmodSync(path, mode);
      utimesSync(path, 1_000_000, 1_000_000);
    }
    symlinkSync('canary', join(this.outside, 'link'));
    this.#before = this.#look();
  }

  /** Content, mode, owner, links, times; the change time tells of extended attributes too. */
  #look(): string {
    const names = ['.', 'etc', 'canary', 'etc/passwd', 'whitedout', 'link'];
    const all = names.map((name) => {
      const path = join(this.outside, name);
      const s = lstatSync(path, { bigint: true });
      const content = s.isFile()
        ? readFileSync(path, 'utf8')
        : s.isDirectory()
          ? readdirSync(path).sort()
          : '';
      return [name, s.ino, s.mode.toString(8), s.uid, s.gid, s.nlink, s.mtimeNs, s.ctimeNs, content].join(
        ' ',
      );
    });
    return [...all, ...readdirSync(this.#tmp.path), ...readdirSync(join(this.#tmp.path, 'a'))].join('\n');
  }

  /** In every mode; throws when anything outside changed. */
  async run(layers: readonly Uint8Array[], how: How = {}): Promise<readonly Result[]> {
    const out: Result[] = [];
    for (const mode of MODES) {
      mkdirSync(this.#home, { mode: 0o700 });
      try {
        out.push(await this.#mode(mode, layers, how));
      } finally {
        const parent = this.#sys.openRoot(join(this.#home, '..'));
        removeEntry(this.#sys, parent, 'home');
        this.#sys.closeDir(parent);
      }
      const now = this.#look();
      if (now !== this.#before)
        throw new Error(`${mode}: something outside changed:\n${this.#before}\n${now}`);
    }
    return out;
  }

  async #mode(mode: Mode, layers: readonly Uint8Array[], how: How): Promise<Result> {
    const roots: string[] = [];
    const warnings: string[] = [];
    let diffId = '';
    for (const [i, blob] of layers.entries()) {
      const root = join(this.#home, mode === 'flat' ? 'tree' : `${i}`);
      if (mode !== 'flat' || i === 0) mkdirSync(root);
      const lowers = mode === 'flat' ? [] : roots.toReversed();
      roots.push(root);
      try {
        const result =
          mode === 'blind' && i > 0
            ? await this.#blind({ root, lowers }, blob, how)
            : await this.#apply({ root, lowers, mode: mode === 'flat' ? 'flat' : 'overlay' }, blob, how);
        warnings.push(...result.warnings);
        diffId = result.diffId;
      } catch (err) {
        const { kind = '?', message = String(err), hint } = findError(err) ?? {};
        return { lines: [], error: `${kind}: ${message}`, hint, warnings, diffId };
      }
    }
    const lines = this.#seen(mode === 'flat' ? roots.slice(0, 1) : roots, how);
    return { lines, error: undefined, hint: undefined, warnings, diffId };
  }

  async #blind(target: Pick<ApplyJob, 'root' | 'lowers'>, blob: Uint8Array, how: How) {
    const { root, lowers } = target;
    try {
      const result = await this.#apply({ root, lowers: [], mode: 'blind' }, blob, how);
      const record = result.record ?? undefined;
      if (record && rebaseLayer(this.#sys, { root, lowers, mode: 'overlay', record }) === undefined)
        return result;
    } catch (err) {
      if (!isNeedsBelow(err) && !isKind(err, 'InvalidArgument')) throw err;
    }
    execFileSync('rm', ['-rf', root]);
    mkdirSync(root);
    return await this.#apply({ root, lowers, mode: 'overlay' }, blob, how);
  }

  #apply(target: Pick<ApplyJob, 'root' | 'lowers' | 'mode'>, blob: Uint8Array, how: How) {
    const job: ApplyJob = {
      growing: null,
      blob: '/blob',
      blobSize: blob.length,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      codec: how.codec ?? 'auto',
      maxBytes: 2 ** 30,
      maxRatio: 1000,
      ...how.job,
      ...target,
    };
    return applyLayer(job, {
      syscalls: this.#sys,
      hashers: createHashers(),
      codecs: createCodecs(),
      clock: createClock(),
      openBlob: () => sourceOf(blob, 100_000).stream,
      turn: async () => {},
    });
  }

  /** Several layers are seen through a real overlay mount. */
  #seen(roots: readonly string[], { inspect }: How): string[] {
    const look = (root: string): string[] => {
      inspect?.(root);
      const dir = this.#sys.openRoot(root);
      try {
        return listTree(this.#sys, dir);
      } finally {
        this.#sys.closeDir(dir);
      }
    };
    const [only] = roots;
    if (only !== undefined && roots.length === 1) return look(only);
    const view = join(this.#home, 'view');
    mkdirSync(view);
    const options = `ro,${inUserNamespace ? 'userxattr,' : ''}lowerdir=${roots.toReversed().join(':')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, view]);
    try {
      return look(view);
    } finally {
      execFileSync('umount', [view]);
    }
  }

  close(): void {
    this.#tmp[Symbol.dispose]();
  }
}

const NAMES: Readonly<Record<number, string>> = { [S_IFCHR]: 'char', [S_IFBLK]: 'block', [S_IFIFO]: 'fifo' };

/** In order of paths. Names of one file: the first has the content, the others point to it. */
function listTree(sys: Syscalls, root: Dir): string[] {
  const out: string[] = [];
  const seen = new Map<string, string>();
  const visit = (dir: Dir, prefix: string): void => {
    for (const name of sys.list(dir).sort()) {
      const path = `${prefix}${name}`;
      const stat = sys.lstat(dir, name);
      if (stat === undefined) out.push(`${path}!ghost`);
      else if ((stat.mode & S_IFMT) === S_IFDIR) {
        out.push(`${path}/`);
        const child = sys.openDir(dir, name);
        visit(child, `${path}/`);
        sys.closeDir(child);
      } else out.push(line(sys, dir, name, path, stat, seen));
    }
  };
  visit(root, '');
  return out;
}

function line(
  sys: Syscalls,
  dir: Dir,
  name: string,
  path: string,
  stat: Stat,
  seen: Map<string, string>,
): string {
  const type = stat.mode & S_IFMT;
  const first = seen.get(stat.ino);
  if (stat.nlink > 1 && first !== undefined) return `${path}=/${first}`;
  if (stat.nlink > 1) seen.set(stat.ino, path);
  if (type === S_IFLNK) return `${path}->${sys.readlink(dir, name)}`;
  if (NAMES[type] !== undefined) return `${path}|${NAMES[type]}`;
  const buffer = new Uint8Array(200);
  const fd = sys.openFile(dir, name);
  const got = sys.read(fd, buffer);
  sys.closeFile(fd);
  return `${path}=${String.fromCharCode(...buffer.subarray(0, got))}`;
}

/** For `skip`: why no user namespace can be made, which under CI=true is an error. */
export function needsUserNamespace(): string | false {
  try {
    execFileSync('unshare', ['-Urm', 'true'], { stdio: 'pipe' });
    return false;
  } catch (err) {
    const reason = `needs user namespaces (${String(err).split('\n')[0]})`;
    if (process.env.CI === 'true') throw new Error(`Under CI this test must run, but it ${reason}`);
    return reason;
  }
}
