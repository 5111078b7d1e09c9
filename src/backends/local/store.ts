import { Rounds } from '../../core/async/rounds.ts';
import type { Growing } from '../../core/content/growing.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Database } from '../../core/ports/database.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { Owner } from './owner.ts';
import { text } from './rows.ts';

const DOOMED_POLL = 20;

/** One opened namespace of a store, shared by all its roles. Paths are absolute. */
export class Store {
  readonly runtime: Runtime;
  readonly root: string;
  readonly namespace: string;
  readonly readOnly: boolean;
  readonly db: Database;
  readonly owner: Owner;
  /** Changes with every boot of the machine; '' when not known. */
  readonly boot: string;
  /** Blobs that this process is fetching, by digest. */
  readonly growing: Map<string, Growing> = new Map();
  /** The open ingests of this process, by ref: their offsets are ahead of their files' sizes. */
  readonly writing: Map<string, { readonly offset: number }> = new Map();
  /** Syncs of directories, by path: one sync serves all changes that were done before it began. */
  readonly dirSyncs: Rounds = new Rounds((path) => this.runtime.fs.syncDir(path));
  /** Whether the namespace has its row, which nobody ever deletes. */
  #named = false;

  constructor(parts: Pick<Store, 'runtime' | 'root' | 'namespace' | 'readOnly' | 'db' | 'owner' | 'boot'>) {
    this.runtime = parts.runtime;
    this.root = parts.root;
    this.namespace = parts.namespace;
    this.readOnly = parts.readOnly;
    this.db = parts.db;
    this.owner = parts.owner;
    this.boot = parts.boot;
  }

  now(): number {
    return this.runtime.clock.now();
  }

  path(relative: string): string {
    return `${this.root}/${relative}`;
  }

  /** One transaction. The first makes the namespace. A power cut may undo a transaction, never tear it. */
  write<T>(work: () => T): T {
    this.checkWritable();
    const result = this.db.transaction(() => {
      if (!this.#named) this.db.prepare('INSERT OR IGNORE INTO namespaces VALUES (?)').run(this.namespace);
      return work();
    });
    this.#named = true;
    return result;
  }

  /** A transaction that is on disk when this returns, with all transactions before it. */
  writeDurably<T>(work: () => T): T {
    this.checkWritable();
    this.db.exec('PRAGMA synchronous=FULL');
    try {
      return this.write(work);
    } finally {
      this.db.exec('PRAGMA synchronous=NORMAL');
    }
  }

  checkWritable(): void {
    if (!this.readOnly) return;
    throw new HawserError(
      'FailedPrecondition',
      `Cannot change the store ${this.root}: it is open for reading only`,
    );
  }

  /**
   * Waits until no sweep is about to remove these paths (relative to the root). Call it once a row with a live owner names
   * them: from then on no sweep chooses them.
   */
  async undoomed(paths: readonly string[], call?: Call): Promise<void> {
    for (const path of paths) {
      for (;;) {
        const row = this.db.prepare('SELECT owner FROM doomed WHERE path = ?').get(path);
        if (row === undefined) break;
        const sweeper = text(row, 'owner');
        if ((await this.owner.look(sweeper, call)) === 'dead') {
          this.write(() =>
            this.db.prepare('DELETE FROM doomed WHERE path = ? AND owner = ?').run(path, sweeper),
          );
        } else {
          await this.runtime.clock.sleep(DOOMED_POLL, call?.signal);
        }
      }
    }
  }
}
