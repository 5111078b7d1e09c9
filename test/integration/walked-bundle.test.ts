/**
 * A bundle that is carried across a gap: lists and locks where there is a network, import and bootstrap where there is none, then the
 * next release, of which only what is new is carried.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pack } from 'tar-stream';
import { addImage, addLayer, createLayout } from '../../scripts/fixtures/layout.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { criAt } from '../support/cri.ts';
import { type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { findTool, needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { scratch } from '../support/scratch.ts';
import { noise } from '../support/small-image.ts';

const TOOLS = ['docker-registry', 'skopeo', 'containerd', 'ctr', 'runc', 'busybox', 'unshare', 'ip'];
/** Of the layers that stay from release to release. */
const BASE_BYTES = 4 << 20;

for (const installation of installations)
  test(`a bundle is walked to a node with ${installation.name}, and the next release after it`, {
    skip: needs({ root: true, tools: TOOLS }),
  }, async () => {
    await using temp = scratch();
    const registry = await startDockerRegistry();
    const walk = new Walk(temp.path, registry);
    try {
      await walk.firstRelease();
      await walk.nextRelease();
    } finally {
      await registry.close();
    }
    await using daemon = await startContainerd(undefined, '', installation, { cri: true });
    await walk.arrive(daemon, installation);
  });

/** The programs of a machine without any network: not even loopback is up. */
const CUT_OFF = ['--net', '--'] as const;

class Walk {
  readonly #dir: string;
  readonly #registry: RealRegistry;

  constructor(dir: string, registry: RealRegistry) {
    this.#dir = dir;
    this.#registry = registry;
  }

  #path(name: string): string {
    return join(this.#dir, name);
  }

  #name(app: string, tag: string): string {
    return `${this.#registry.host}/apps/${app}:${tag}`;
  }

  /** Where there is a network. */
  async #near(...args: readonly string[]): Promise<ExecResult> {
    const [file, ...first] = quickest.command;
    const result = await exec(file, [...first, '--root', this.#path('near'), ...args]);
    assert.equal(result.code, 0, explain(result));
    return result;
  }

  /** Where there is none. */
  async #far(args: readonly string[], input?: string): Promise<ExecResult> {
    const line = [...quickest.command, ...args];
    if (input === undefined) return await exec('unshare', [...CUT_OFF, ...line]);
    return await exec('unshare', [...CUT_OFF, 'sh', '-c', `${input} | "$@"`, 'sh', ...line]);
  }

  async #farOk(args: readonly string[], input?: string): Promise<ExecResult> {
    const result = await this.#far(args, input);
    assert.equal(result.code, 0, explain(result));
    return result;
  }

  async #push(app: string, tag: string): Promise<void> {
    const dir = this.#path(`layout-${app}-${tag}`);
    const layout = createLayout(dir);
    const layers = [];
    for (const files of [BASE, { [`srv/${app}`]: Buffer.from(`${app} ${tag}\n`) }]) {
      writeFileSync(this.#path('layer.tar'), await tarOf(files));
      layers.push(addLayer(layout, this.#path('layer.tar')));
    }
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/bin/busybox', 'cat', `/srv/${app}`] },
    };
    layout.name(tag, addImage(layout, 'gzip', layers, config));
    layout.finish();
    await this.#registry.push(`${dir}:${tag}`, `apps/${app}:${tag}`);
  }

  /** list -> lock -> pull -> export. */
  async #release(tag: string, ...flags: readonly string[]): Promise<ExecResult> {
    for (const app of APPS) await this.#push(app, tag);
    const list = this.#path(`${tag}.txt`);
    const lock = this.#path(`${tag}.lock`);
    writeFileSync(list, `# of release ${tag}\n${APPS.map((app) => this.#name(app, tag)).join('\n')}\n`);
    writeFileSync(lock, (await this.#near('lock', list)).stdout);
    await this.#near('pull', '--plain-http', '--locked', '-f', lock);
    return await this.#near('export', ...flags, '-f', lock, this.#path(`${tag}.tar`));
  }

  async firstRelease(): Promise<void> {
    await this.#release('1');
    await this.#farOk([...this.#store(), 'import', this.#path('1.tar')]);
  }

  #store(): string[] {
    return ['--root', this.#path('far')];
  }

  /** By what the other side has; sizes are told. */
  async nextRelease(): Promise<void> {
    writeFileSync(this.#path('have.json'), (await this.#farOk([...this.#store(), 'inventory'])).stdout);
    const { stderr } = await this.#release('2', '--lacks', this.#path('have.json'));
    assert.match(stderr, /^carried: \d{4} bytes \(6 blobs\); left out.* has it: 5\d{6} bytes \(1 layer\)\n$/);
    const [whole, delta] = ['1.tar', '2.tar'].map((name) => statSync(this.#path(name)).size);
    console.log(`release 1: ${whole} bytes; what is new in release 2: ${delta} bytes`);
    assert.ok((delta ?? 0) < (whole ?? 0) / 50, `${delta} of ${whole}`);
  }

  async arrive(daemon: Containerd, installation: Installation): Promise<void> {
    const at = ['--address', daemon.socket];
    await this.#goesOnAfterACut(at);
    const early = await this.#far([...at, '-n', 'empty', 'import', this.#path('2.tar')]);
    assert.equal(early.code, 4, 'what the bundle builds upon is not there');
    for (const tag of ['1', '2']) {
      await this.#farOk([...at, 'bootstrap', this.#path(`${tag}.tar`)]);
      await this.#farOk([...this.#store(), 'import', this.#path(`${tag}.tar`)]);
      for (const app of APPS) {
        await this.#isSeen(daemon, this.#name(app, tag));
        await this.#runs(daemon, installation, app, tag);
      }
    }
  }

  /** A medium that ends in the middle: an error, nothing recorded; the whole one goes on where the cut was. */
  async #goesOnAfterACut(at: readonly string[]): Promise<void> {
    const medium = this.#path('1.tar');
    const load = [...at, '-n', 'k8s.io', 'import', '--progress', 'json', '-'];
    const cut = await this.#far(load, `head -c ${statSync(medium).size - 1000} '${medium}'`);
    assert.notEqual(cut.code, 0);
    assert.match(cut.stderr, /truncated/, explain(cut));
    const { stdout } = await this.#farOk([...at, '-n', 'k8s.io', 'images', 'ls', '-q']);
    assert.equal(stdout, '');
    const whole = await this.#farOk(load, `cat '${medium}'`);
    const there = whole.stdout
      .split('\n')
      .filter((line) => line.includes('"status":"exists"') && line.includes('tar+gzip'));
    assert.ok(there.length > 0, explain(whole));
    await this.#farOk([
      ...at,
      '-n',
      'k8s.io',
      'images',
      'rm',
      '--all-names',
      ...APPS.map((app) => this.#name(app, '1')),
    ]);
  }

  /** By all names by which a pod may ask. */
  async #isSeen(daemon: Containerd, name: string): Promise<void> {
    using cri = criAt(daemon.socket);
    const digest = new RegExp(`"${name}".*?(sha256:[0-9a-f]{64})`, 's').exec(
      readFileSync(this.#path(`${name.slice(name.lastIndexOf(':') + 1)}.lock`), 'utf8'),
    )?.[1];
    const repository = name.slice(0, name.lastIndexOf(':'));
    for (const asked of [name, `${repository}@${digest}`, `${name}@${digest}`])
      await eventually(async () => assert.notEqual(await cri.status(asked), undefined, asked));
  }

  async #runs(daemon: Containerd, { ctr }: Installation, app: string, tag: string): Promise<void> {
    const line = ['run', '--rm', '--net-host', this.#name(app, tag), `${app}-${tag}`];
    const { stdout } = await execOk(ctr, ['--address', daemon.socket, '-n', 'k8s.io', ...line]);
    assert.equal(stdout, `${app} ${tag}\n`);
  }
}

const APPS = ['one', 'two'];
const busybox = findTool('busybox');
const BASE: Readonly<Record<string, Uint8Array>> = {
  'bin/busybox': busybox === undefined ? new Uint8Array() : readFileSync(busybox),
  'usr/share/noise': noise(1, BASE_BYTES),
};

async function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array> {
  const tar = pack();
  for (const [name, content] of Object.entries(files))
    tar.entry({ name, mode: 0o755, mtime: new Date(0) }, Buffer.from(content));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** CRI hears of images by events. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await check();
    } catch (err) {
      if (tries === 50) throw err;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
