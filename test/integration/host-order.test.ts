/**
 * One hosts directory, given to `ctr --hosts-dir` and to hawser: both ask the same hosts in the same order for each object. Where
 * containerd 1.6 is weak and we are not, the layout says so (`beats`): what hawser does is then written out, and ctr must differ.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { type Containerd, startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import { flavour, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RecordingHosts, type Setup, startHosts } from '../support/recording-hosts.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

type At = RecordingHosts['at'];
type Asked = Record<string, string[]>;

interface Layout extends Omit<Setup, 'image'> {
  readonly name: string;
  /** Files below the hosts directory. */
  readonly files: (at: At) => Readonly<Record<string, string>>;
  /** Pulled by digest instead of by tag. */
  readonly byDigest?: boolean;
  /** Both fail. */
  readonly fails?: true;
  /** Where we do not do as ctr does. */
  readonly beats?: {
    readonly why: string;
    readonly ours: Asked;
    readonly fails?: RegExp;
    readonly dials?: number;
  };
}

const all = (...hosts: string[]): Asked => ({ tag: hosts, manifest: hosts, config: hosts, layer: hosts });
/** hosts.toml of the namespace under the name that both look for first. */
const own = (at: At, text: string) => ({ [`${at.up.replace(':', '_')}_/hosts.toml`]: text });
const host = (address: string, ...lines: string[]) => `[host."http://${address}"]\n${lines.join('\n')}\n`;
const caps = (...words: string[]) => `capabilities = ${JSON.stringify(words)}`;
const server = (address: string) => `server = "http://${address}"\n`;

const LAYOUTS: readonly Layout[] = [
  { name: 'no directory for the namespace', files: () => ({ 'other.io/hosts.toml': '' }) },
  { name: 'one mirror that has it all', files: (at) => own(at, server(at.up) + host(at.m1)) },
  {
    name: 'two mirrors, the first without the image',
    files: (at) => own(at, server(at.up) + host(at.m1) + host(at.m2)),
    has: { m1: [] },
  },
  {
    name: 'two mirrors in the file’s order, not the alphabet’s',
    files: (at) => own(at, server(at.up) + host(at.m2) + host(at.m1)),
  },
  {
    name: 'a mirror that answers 403 to everything',
    files: (at) => own(at, server(at.up) + host(at.m1)),
    faults: { m1: [{ status: 403 }] },
  },
  {
    name: 'a mirror with the manifest and without the blobs',
    files: (at) => own(at, server(at.up) + host(at.m1)),
    faults: { m1: [{ match: '/blobs/', status: 404 }] },
  },
  {
    name: 'a mirror for pulling only: tags are resolved at the registry',
    files: (at) => own(at, server(at.up) + host(at.m1, caps('pull'))),
  },
  {
    name: 'a mirror for pulling only, and a digest',
    files: (at) => own(at, server(at.up) + host(at.m1, caps('pull'))),
    byDigest: true,
  },
  {
    name: 'a server that is another host: the registry itself is not asked',
    files: (at) => own(at, server(at.m2) + host(at.m1)),
    has: { m1: [] },
  },
  {
    name: 'no server: the registry itself is the last',
    files: (at) => own(at, host(at.m1)),
    has: { m1: [] },
  },
  {
    name: 'override_path',
    files: (at) => own(at, server(at.up) + host(`${at.m1}/v2/cache`, 'override_path = true')),
    has: { m1: ['cache/t/a'] },
  },
  { name: '_default', files: (at) => ({ '_default/hosts.toml': server(at.up) + host(at.m1) }) },
  {
    name: 'host_port_ before host:port, before _default',
    files: (at) => ({
      ...own(at, server(at.up) + host(at.m1)),
      [`${at.up}/hosts.toml`]: server(at.up) + host(at.m2),
      '_default/hosts.toml': server(at.m2) + host(at.m2),
    }),
  },
  {
    name: 'a directory without hosts.toml stops the search',
    files: (at) => ({ [`${at.up}/note`]: '', '_default/hosts.toml': server(at.m2) + host(at.m2) }),
  },
  {
    name: 'a host as a dotted key',
    files: (at) => own(at, `${server(at.up)}host."http://${at.m1}".capabilities = ["pull", "resolve"]\n`),
  },
  {
    name: 'nobody has it',
    files: (at) => own(at, server(at.up) + host(at.m1)),
    has: { m1: [], up: [] },
    fails: true,
  },
  {
    name: 'a mirror for resolving only, listed first',
    files: (at) => own(at, server(at.up) + host(at.m1, caps('resolve'))),
    beats: { why: 'ctr fetches from hosts that may not be pulled from (spec 2.7)', ours: all('up') },
  },
  {
    name: 'a mirror for pushing only, listed first',
    files: (at) => own(at, server(at.up) + host(at.m1, caps('push'))),
    beats: { why: 'the same', ours: all('up') },
  },
  {
    name: 'a mirror that cannot be connected to',
    files: (at) => own(at, `${server(at.up)}[host."https://${at.dead}"]\n`),
    beats: { why: 'ctr dials a dead mirror again for every object (spec 5.1)', ours: all('up'), dials: 1 },
  },
  {
    name: 'a broken hosts.toml',
    files: (at) => own(at, `${server(at.m1)}${host(at.m1)}capabilities = ["fetch"]\n`),
    beats: {
      why: 'ctr goes on to the registry itself (spec 2.2)',
      ours: {},
      fails: /hosts\.toml:4: .*"fetch"/,
    },
  },
  {
    name: 'a file without a host table',
    files: (at) => own(at, server(at.m1)),
    beats: { why: 'ctr 1.6 takes it for broken; containerd 2 and we do not (spec 0)', ours: all('m1') },
  },
];

const TOOLS = ['containerd', 'ctr'];

describe('hosts, by ctr and by hawser', { skip: needs({ root: true, tools: TOOLS }) }, () => {
  let containerd: Containerd;
  let temp: Scratch;
  let count = 0;
  before(async () => {
    temp = scratch();
    containerd = await startContainerd();
  });
  after(async () => {
    await containerd.close();
    await temp[Symbol.asyncDispose]();
  });

  /** Each run has its own registries, directory and image: neither store has seen it. */
  const run = async (layout: Layout, client: (dir: string, ref: string) => Promise<ExecResult>) => {
    const id = ++count;
    const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: String(id) }] }] });
    const hosts = await startHosts({ ...layout, image });
    try {
      const dir = join(temp.path, `hosts-${id}`);
      mkdirSync(dir);
      for (const [path, text] of Object.entries(layout.files(hosts.at))) {
        mkdirSync(join(dir, dirname(path)), { recursive: true });
        writeFileSync(join(dir, path), text);
      }
      const ref = `${hosts.at.up}/t/a${layout.byDigest === true ? `@${image.root.digest}` : ':x'}`;
      const result = await client(dir, ref);
      return { result, asked: hosts.asked(), dials: hosts.dials() };
    } finally {
      await hosts.close();
    }
  };
  const ctr = (dir: string, ref: string) =>
    exec('ctr', ['--address', containerd.socket, 'content', 'fetch', '--hosts-dir', dir, ref]);
  const ours = (dir: string, ref: string) =>
    hawser(flavour('node26'), join(temp.path, 'store')).run(['content', 'fetch', '--hosts-dir', dir, ref]);

  for (const layout of LAYOUTS) {
    test(layout.name, async () => {
      const [theirs, mine] = await Promise.all([run(layout, ctr), run(layout, ours)]);
      const { beats, fails } = layout;
      const failure = beats?.fails ?? (fails === true ? /not found/ : undefined);
      assert.equal(theirs.result.code, fails === true ? 1 : 0, explain(theirs.result));
      assert.equal(mine.result.code, failure === undefined ? 0 : 1, explain(mine.result));
      if (failure !== undefined) assert.match(mine.result.stderr, failure);
      if (beats === undefined) return assert.deepEqual(mine.asked, theirs.asked);
      assert.deepEqual(mine.asked, beats.ours);
      assert.equal(mine.dials, beats.dials ?? 0);
      assert.notDeepEqual([theirs.asked, theirs.dials], [mine.asked, mine.dials], `no longer: ${beats.why}`);
    });
  }
});
