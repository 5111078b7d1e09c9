/** The ways to run hawser, as a user does: by command line. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type ExecOptions, type ExecResult, exec, execOk } from './exec.ts';
import { deno, node22, node26, repository } from './runtimes.ts';

export type FlavourName = 'node26' | 'node22' | 'deno' | 'binary';

export interface Flavour {
  readonly name: FlavourName;
  /** The program and the arguments before hawser's own. */
  readonly command: readonly [string, ...string[]];
  /** The file that was built, for the artefacts. */
  readonly file?: string;
  /** For `test(name, { skip })`: why it cannot run. */
  readonly skip: string | false;
}

const QUIET = '--disable-warning=ExperimentalWarning';
const sources = join(repository, 'src');
const entry = join(sources, 'entry/hawser.ts');
const bundle = join(repository, 'dist/hawser.mjs');
const binary = join(repository, 'dist/hawser-linux-x64');
/** The one file; the sources, which take ten times as long to start, where the file is missing or older than they are. */
const program = isBuilt() ? bundle : entry;

function isBuilt(): boolean {
  if (process.env.CI === 'true') return true;
  if (!existsSync(bundle)) return false;
  const built = statSync(bundle).mtimeMs;
  return readdirSync(sources, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .every(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs < built);
}

export const flavours: readonly Flavour[] = [
  { name: 'node26', command: [node26, QUIET, program], file: bundle, skip: absent(program) },
  { name: 'node22', command: [node22, QUIET, program], file: bundle, skip: absent(program) },
  { name: 'deno', command: [deno, 'run', '-A', '--quiet', program], file: bundle, skip: absent(program) },
  { name: 'binary', command: [binary], file: binary, skip: absent(binary) },
];

/** `hawser.mjs` as it was built, on Node 26. */
export const oneFile: Flavour = {
  name: 'node26',
  command: [node26, QUIET, bundle],
  file: bundle,
  skip: absent(bundle),
};

/** The flavours to test: HAWSER_FLAVOURS (comma-separated names), else all. */
export const wanted: readonly Flavour[] = pick(process.env.HAWSER_FLAVOURS);

/** One for each runtime, the one that starts fastest first; all that HAWSER_FLAVOURS names. */
export const eachRuntime: readonly Flavour[] =
  process.env.HAWSER_FLAVOURS === undefined
    ? wanted.filter(({ name }) => name === 'binary' || name === 'node22' || name === 'deno').reverse()
    : wanted;

/** The one for tests that need only one. */
export const anyFlavour: Flavour = wanted.find((one) => one.skip === false) ?? flavour('node26');

/** For what needs one flavour: the one that starts fastest. */
export const quickest: Flavour = wanted.findLast((one) => one.skip === false) ?? anyFlavour;

export function flavour(name: FlavourName): Flavour {
  const found = flavours.find((one) => one.name === name);
  if (found === undefined) throw new Error(`No way to run hawser is called ${name}`);
  return found;
}

function pick(names: string | undefined): readonly Flavour[] {
  if (names === undefined) return flavours;
  return names.split(',').map((name) => flavour(name as FlavourName));
}

/** Under CI everything has been built. */
function absent(file: string): string | false {
  if (existsSync(file)) return false;
  if (process.env.CI === 'true') throw new Error(`Under CI ${file} must be there`);
  return `${file.slice(repository.length + 1)} is not built`;
}

/** hawser over one store. */
export interface Hawser {
  readonly root: string;
  run(args: readonly string[], opts?: ExecOptions): Promise<ExecResult>;
  /** Must succeed. */
  ok(...args: readonly string[]): Promise<ExecResult>;
}

export function hawser(which: Flavour, root: string): Hawser {
  const [file, ...before] = which.command;
  const all = (args: readonly string[]): string[] => [...before, '--root', root, ...args];
  return {
    root,
    run: (args, opts) => exec(file, all(args), opts),
    ok: (...args) => execOk(file, all(args)),
  };
}
