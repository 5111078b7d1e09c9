/**
 * The small layer stacks of the unit tests unpacked by containerd (overlayfs) and by umoci (one directory), and what differs
 * from the one right result: just what peer-defects.ts lists and explains. That hawser gets all of them right, in every
 * way it has, is unit/archive/matrix.test.ts. So this shows what the difference is, and that the reference model
 * agrees with tools that share nothing with it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addImage, addLayer, createLayout } from '../../scripts/fixtures/layout.ts';
import { startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, execOk } from '../support/exec.ts';
import { layer } from '../support/layer-builder.ts';
import type { Case } from '../support/layer-case.ts';
import { HIDING } from '../support/layer-cases-hiding.ts';
import { WRITING } from '../support/layer-cases-writing.ts';
import { needs } from '../support/needs.ts';
import { DEFECTS, type Defect, type Peer } from '../support/peer-defects.ts';
import { type LinkRule, ReferenceImage } from '../support/reference-model.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { readTree, subtrees, type Tree, type TreeEntry } from '../support/tree.ts';

const TOOLS = ['containerd', 'ctr', 'umoci', 'tar', 'getfattr'];
const LINKS: Readonly<Record<Peer, LinkRule>> = { containerd: 'overlay', umoci: 'posix' };
/** Those that have a result. */
const CASES: readonly (readonly [string, Case])[] = Object.entries({ ...HIDING, ...WRITING }).filter(
  ([, { fails }]) => fails === undefined,
);
const BASE = 'peers.test/cases';
/** The rest of an entry is how it looks, not what there is. */
const WHAT: readonly (keyof TreeEntry)[] = ['type', 'size', 'rdev', 'target'];

type Outcome = { readonly tree: Tree } | { readonly failure: string };

function writeLayout(dir: string, scrap: string): void {
  const layout = createLayout(dir);
  for (const [i, [, { layers }]] of CASES.entries()) {
    const files = layers.map((entries) => {
      writeFileSync(scrap, layer(...entries));
      return addLayer(layout, scrap);
    });
    const config = { architecture: 'amd64', os: 'linux', config: {} };
    layout.name(`case${i}`, addImage(layout, 'gzip', files, config));
  }
  layout.finish();
}

/** containerd's garbage collector may take a snapshot from under an unpack: once more, then. */
async function persist(run: () => Promise<ExecResult>): Promise<ExecResult> {
  let result = await run();
  for (let more = 10; more > 0 && /parent snapshot \S+ does not exist/.test(result.stderr); more--) {
    result = await run();
  }
  return result;
}

/** The innermost message, without the places where it happened. */
function failureOf({ stderr }: ExecResult, dir: string): string {
  const last = stderr.trim().split('\n').at(-1) ?? '';
  const inner = last.replace(/^.*?(failed to extract layer sha256:\w+|unpack entry): /, '');
  return inner
    .replace(/: unknown$/, '')
    .replace(/\/\S*\/(tmpmounts\/containerd-mount\d+|snapshots\/\d+\/fs)(\/|(?=:))/g, '')
    .replaceAll(`${dir}/`, '');
}

/** `path: attributes`, `path is there`, `path is not there`. */
function outline(right: Tree, theirs: Tree): string[] {
  const out: string[] = [];
  for (const path of [...new Set([...right.keys(), ...theirs.keys()])].sort()) {
    const [want, have] = [right.get(path), theirs.get(path)];
    if (want === undefined) out.push(`${path} is there`);
    else if (have === undefined) out.push(`${path} is not there`);
    else {
      const keys = Object.keys(want) as (keyof TreeEntry)[];
      const other = keys.filter((key) => JSON.stringify(want[key]) !== JSON.stringify(have[key]));
      if (other.length > 0) out.push(`${path}: ${other.join(' ')}`);
    }
  }
  return out;
}

/** Whether everything is there, nothing else, and of the right kind; `times` and owners aside. */
function isRight(differences: readonly string[]): boolean {
  return differences.every((line) => {
    const [, attributes] = / is (not )?there$/.test(line) ? [] : line.split(/: (?=[a-z0-9 ]+$)/);
    return attributes !== undefined && !WHAT.some((key) => attributes.split(' ').includes(key));
  });
}

describe('small stacks by others', { skip: needs({ root: true, tools: TOOLS }) }, () => {
  let temp: Scratch;
  const outcomes = new Map<string, Outcome>();

  before(async () => {
    temp = scratch();
    const layout = join(temp.path, 'layout');
    writeLayout(layout, join(temp.path, 'layer.tar'));
    const archive = join(temp.path, 'layout.tar');
    await execOk('tar', ['-C', layout, '-cf', archive, '.']);
    await using containerd = await startContainerd();
    await containerd.ctr('images', 'import', '--no-unpack', '--base-name', BASE, archive);
    const ctr = ['--address', containerd.socket, 'images', 'mount'];
    const trees = join(temp.path, 'trees');
    for (const peer of ['containerd', 'umoci']) mkdirSync(join(trees, peer), { recursive: true });
    for (const i of CASES.keys()) {
      const mount = join(trees, 'containerd', String(i));
      mkdirSync(mount);
      const rootfs = join(trees, 'umoci', String(i));
      const [mounted, unpacked] = await Promise.all([
        persist(() => exec('ctr', [...ctr, `${BASE}:case${i}`, mount])),
        exec('umoci', ['raw', 'unpack', '--image', `${layout}:case${i}`, rootfs]),
      ]);
      if (mounted.code !== 0) outcomes.set(`containerd/${i}`, { failure: failureOf(mounted, mount) });
      if (unpacked.code !== 0) outcomes.set(`umoci/${i}`, { failure: failureOf(unpacked, rootfs) });
    }
    for (const [key, tree] of subtrees(await readTree(trees), 2)) {
      if (!outcomes.has(key)) outcomes.set(key, { tree });
    }
  });
  after(() => temp[Symbol.asyncDispose]());

  for (const peer of ['containerd', 'umoci'] as const) {
    test(peer, (t) => {
      const found: Record<string, Defect['outcome']> = {};
      let right = 0;
      for (const [i, [name, { layers }]] of CASES.entries()) {
        const outcome = outcomes.get(`${peer}/${i}`);
        assert.ok(outcome, name);
        if ('failure' in outcome) {
          found[name] = `fails: ${outcome.failure}`;
          continue;
        }
        const image = new ReferenceImage(LINKS[peer]);
        for (const entries of layers) image.apply(entries);
        const differences = outline(image.tree(), outcome.tree).filter((line) => line !== '.: mtime');
        if (isRight(differences)) right++;
        if (differences.length > 0) found[name] = differences.join(', ');
      }
      const same = CASES.length - Object.keys(found).length;
      t.diagnostic(
        `${peer}: of ${CASES.length} stacks ${right} have the right files, ${same} in every attribute`,
      );
      const known = DEFECTS[peer];
      for (const [name, outcome] of Object.entries(found)) {
        t.diagnostic(`${name}: ${outcome} (${known[name]?.reason ?? 'not explained'})`);
      }
      const listed = Object.entries(known).map(([name, { outcome }]) => [name, outcome] as const);
      assert.deepEqual(found, Object.fromEntries(listed));
    });
  }
});
