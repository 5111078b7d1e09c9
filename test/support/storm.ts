/** Commands that are killed at random moments, in several processes at once, over one store. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestRegistry } from '../registry/registry.ts';
import { describe, type ExecResult, exec } from './exec.ts';
import type { Flavour } from './hawser.ts';

export const NAMESPACES = ['default', 'other'] as const;
/** Pulls that go on side by side. */
const SIDES = 3;
/** Of ten pulls and of ten other commands, so many are to be killed. */
const KILLED = { pull: 8, other: 3 };
/** What a command may say beside others: the image that was chosen is not there (any more). */
const ABSENT = /not found|does not have|no image/i;

export interface StormOptions {
  readonly flavour: Flavour;
  readonly root: string;
  readonly registry: TestRegistry;
  readonly refs: readonly string[];
  readonly random: () => number;
  /** Milliseconds that a pull takes undisturbed. */
  readonly pullTime: number;
}

/** What was run, by verb, and what went wrong. */
export class Storm {
  readonly counts: Map<string, number> = new Map();
  readonly wrong: string[] = [];
  kills = 0;
  readonly #opts: StormOptions;

  constructor(opts: StormOptions) {
    this.#opts = opts;
  }

  /** `pulls` pulls, three at a time, and other commands one after another until they are done. */
  async run(pulls: number): Promise<void> {
    let left = pulls;
    const pullOn = async (): Promise<void> => {
      while (left-- > 0) await this.#pull();
    };
    let isOver = false;
    const lookAfter = async (): Promise<void> => {
      while (!isOver) await this.#other();
    };
    const others = lookAfter();
    await Promise.all(Array.from({ length: SIDES }, pullOn));
    isOver = true;
    await others;
  }

  #below(limit: number): number {
    return Math.floor(this.#opts.random() * limit);
  }

  #one<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  async #pull(): Promise<void> {
    const snapshotter = this.#below(5) === 0 ? ['--snapshotter', 'native'] : [];
    const codec = this.#one(['native', 'portable']);
    const line = ['pull', '--progress', 'none', '--codec', codec, ...snapshotter, this.#one(this.#opts.refs)];
    await this.#command('pull', line, this.#below(10) < KILLED.pull, /$^/);
  }

  async #other(): Promise<void> {
    const { refs } = this.#opts;
    const ref = this.#one(refs);
    const [what, line, allowed = /$^/] = this.#one<readonly [string, readonly string[], RegExp?]>([
      ['gc', ['gc']],
      ['df', ['df']],
      ['prune', ['images', 'prune', '--keep', '1']],
      ['prune', ['images', 'prune', '--all']],
      ['rm', ['images', 'rm', ref], ABSENT],
      ['tag', ['images', 'tag', '--force', ref, `local.test/t:${this.#below(3)}`], ABSENT],
      ['verify', ['images', 'verify']],
      ['verify', ['images', 'verify', ref], ABSENT],
      ['repair', ['images', 'repair', ref], ABSENT],
    ]);
    await this.#command(what, line, this.#below(10) < KILLED.other, allowed);
    await sleep(this.#below(50));
  }

  async #command(what: string, line: readonly string[], isKilled: boolean, allowed: RegExp): Promise<void> {
    const { flavour, root, pullTime } = this.#opts;
    const [file, ...before] = flavour.command;
    const args = [...before, '--root', root, '--namespace', this.#one(NAMESPACES), ...line];
    const after = isKilled ? this.#below(1.2 * pullTime) : undefined;
    const result = await killedAfter(file, args, after);
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    if (after !== undefined && result.signal === 'SIGKILL') this.kills++;
    else if (result.code !== 0 && !allowed.test(result.stderr))
      this.wrong.push(`${line.join(' ')}: ${describe(result)}`);
  }
}

async function killedAfter(file: string, args: readonly string[], after?: number): Promise<ExecResult> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const result = await exec(file, args, {
    started: (child) => {
      if (after !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), after);
    },
  });
  clearTimeout(timer);
  return result;
}
