import type { ByteString } from '../bytes.ts';
import type { Dir, NewFile, Syscalls } from '../ports/syscalls.ts';
import type { DirNode, Slot } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import { MAX_COMPONENT, WHITEOUT } from './names.ts';

/** Files that wait at most. */
const MOST = 64;

/** A file that waits to be made. */
export interface WaitingFile extends NewFile {
  readonly entry: TarEntry;
}

/** What becomes of a file. What one of these throws ends the run. */
export interface RunEnds {
  /** All of the file is made. */
  made(file: WaitingFile, slot: Slot): void;
  /** The file could not be created. */
  absent(file: WaitingFile, slot: Slot): void;
  /** The file is there, but its owner, mode or times could not be set. */
  plain(file: WaitingFile, slot: Slot): void;
  /** Makes an error of the file one of the entry. */
  failure(file: WaitingFile, err: unknown): unknown;
}

/** Where the files of a run go. */
interface Place {
  /** The names of the entries up to their last slash, as written. Not given: only the first file goes there. */
  readonly prefix: ByteString | undefined;
  readonly node: DirNode;
  readonly dir: Dir;
}

/**
 * Regular files that follow one another in one directory, and whose content is at hand: they wait to be made by one call. Nobody
 * looks at the tree or changes it before `flush`, so that all is as if each had been made at once.
 */
export class FileRun {
  readonly #makeFiles: NonNullable<Syscalls['makeFiles']>;
  readonly #ends: RunEnds;
  #place: Place | undefined;
  #waiting: WaitingFile[] = [];

  constructor(makeFiles: NonNullable<Syscalls['makeFiles']>, ends: RunEnds) {
    this.#makeFiles = makeFiles;
    this.#ends = ends;
  }

  /** Where the entry goes, when that is the directory of the run, and no directory is known to be in the way. */
  slotOf({ name }: TarEntry): Slot | undefined {
    if (this.#place?.prefix === undefined || this.#waiting.length >= MOST) return undefined;
    const { prefix, node } = this.#place;
    if (!name.startsWith(prefix)) return undefined;
    const last = name.slice(prefix.length);
    return isOwnName(last) && !node.children.has(last) ? { node, name: last } : undefined;
  }

  /** Begins a run with its first file. `dir`: the handle of the directory, which stays open until `flush`. */
  begin(file: WaitingFile, node: DirNode, dir: Dir): void {
    const { name } = file.entry;
    const prefix = name.slice(0, name.lastIndexOf('/') + 1);
    // The file `a/b/.` is `b` in `a`.
    this.#place = { prefix: prefix + file.name === name ? prefix : undefined, node, dir };
    this.#waiting.push(file);
  }

  add(file: WaitingFile): void {
    this.#waiting.push(file);
  }

  /** Makes the files, and ends the run. */
  flush(): void {
    const place = this.#place;
    if (place === undefined) return;
    const waiting = this.#waiting;
    this.#place = undefined;
    this.#waiting = [];
    for (let done = 0; done < waiting.length; ) done += this.#some(place, waiting.slice(done));
  }

  /** Makes files up to and with the first that the one call cannot make. Returns how many. */
  #some({ node, dir }: Place, files: readonly WaitingFile[]): number {
    const { count, failed } = this.#makeFiles(dir, files);
    for (const [at, file] of files.entries()) {
      const slot = { node, name: file.name };
      if (at < count) this.#ends.made(file, slot);
      else {
        this.#single(file, slot, failed);
        return at + 1;
      }
    }
    return count;
  }

  #single(file: WaitingFile, slot: Slot, failed: unknown): void {
    try {
      if (failed === 'create') this.#ends.absent(file, slot);
      else if (failed === 'describe') this.#ends.plain(file, slot);
      else throw failed;
    } catch (err) {
      throw this.#ends.failure(file, err);
    }
  }
}

/** Whether the last component of a name is the file's own, and no mark of something that is hidden. */
function isOwnName(name: ByteString): boolean {
  if (name === '' || name === '.' || name === '..' || name.length > MAX_COMPONENT) return false;
  return !name.includes('/') && !name.startsWith(WHITEOUT);
}
