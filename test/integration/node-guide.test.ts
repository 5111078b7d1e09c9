/** The commands of docs/nodes.md, as they stand there: a bundle is made, and brought into the containerd of a node. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { type AnyStore, openContainerd } from '../../src/mod.ts';
import { type Containerd, startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { hawser, quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { blocksOf, Commands } from '../support/readme.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { node26 } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { serve } from '../support/serving.ts';
import { smallImage } from '../support/small-image.ts';

const PAGE = 'docs/nodes.md';
const commands = new Commands(PAGE, 'integration/node-guide.test.ts');

/** The blocks of a language that is no shell's, in their order. */
function blocks(language: string): string[] {
  return blocksOf(PAGE)
    .filter((block) => block.language === language)
    .map(({ lines }) => lines.join('\n'));
}

/** In a mount namespace of its own, where the directories that the guide names are empty ones. */
const NODE = `
set -e
mount --make-rprivate /
for dir in /run /media /var/lib /usr/local/bin; do mkdir -p "$dir"; mount -t tmpfs tmpfs "$dir"; done
mkdir -p /media/bundle /run/containerd /run/k3s/containerd
cp "$W/hawser" "$W"/node.tar.zst /media/bundle/
for place in $SOCKETS; do touch "$place"; mount --bind "$SOCK" "$place"; done
[ -z "$DEAD" ] || { touch "$DEAD"; mount --bind "$W/dead.sock" "$DEAD"; }
export PATH="/usr/local/bin:$W/bin:$PATH"
`;
/** Where the manifest mounts. */
const POD = 'mount --make-rprivate /; mount -t tmpfs tmpfs /run';
/** Does what systemd does with the unit. */
const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*"
case "$*" in enable*) exec sh -c "$(sed -n 's/^ExecStart=//p' "$W/unit")";; esac
`;
const DIE =
  'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';

describe(PAGE, {
  skip: needs({ root: true, tools: ['docker-registry', 'skopeo', 'containerd', 'ctr', 'unshare'] }),
}, () => {
  let temp: Scratch;
  let registry: RealRegistry;
  let daemon: Containerd;
  let store: AnyStore;
  let env: NodeJS.ProcessEnv;
  let listed: string;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    await registry.push(
      `${await smallImage(temp.path, { layers: 2, bytes: 1000, files: 2 })}:small`,
      'small:1',
    );
    listed = `${registry.host}/small:1`;
    daemon = await startContainerd();
    store = await openContainerd({ address: daemon.socket, namespace: 'k8s.io' });
    const bin = join(temp.path, 'bin');
    mkdirSync(bin);
    const program = `#!/bin/sh\nexec ${quickest.command.map((word) => `'${word}'`).join(' ')} "$@"\n`;
    for (const [name, text] of [
      ['hawser', program],
      ['bin/hawser', program],
      ['bin/systemctl', SYSTEMCTL],
    ] as const) {
      writeFileSync(join(temp.path, name), text);
      chmodSync(join(temp.path, name), 0o755);
    }
    env = { ...process.env, W: temp.path, SOCK: daemon.socket, HAWSER_ROOT: join(temp.path, 'root') };
    await exec(node26, ['-e', DIE, join(temp.path, 'dead.sock')]);
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await daemon.close();
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const onNode = (
    commands: string,
    places: { sockets?: string; dead?: string } = {},
  ): Promise<ExecResult> => {
    const { sockets = '/run/containerd/containerd.sock', dead = '' } = places;
    return exec('unshare', ['--mount', 'bash', '-c', `${NODE}\n${commands}`], {
      env: { ...env, SOCKETS: sockets, DEAD: dead },
    });
  };

  test('the bundle is made, and cloud-init fills the node with it', async () => {
    writeFileSync(join(temp.path, 'images.txt'), `${listed}\n`);
    await execOk('bash', ['-ec', commands.take('Where there is a network: make the bundle').join('\n')], {
      cwd: temp.path,
      env: { ...env, PATH: `${join(temp.path, 'bin')}:${process.env.PATH}` },
    });
    const { write_files: files, runcmd } = parse(blocks('yaml')[0] ?? '') as {
      write_files: { path: string; content: string }[];
      runcmd: string[];
    };
    const [unit] = files;
    assert.ok(unit);
    assert.equal(unit.content.trim(), blocks('ini')[0], 'the guide has one unit');
    writeFileSync(join(temp.path, 'unit'), unit.content);
    const ran = await onNode(runcmd.join('\n'));
    assert.equal(ran.code, 0, explain(ran));
    assert.match(ran.stdout, /systemctl daemon-reload\nsystemctl enable --now hawser-bootstrap\.service/);
    assert.ok(ran.stdout.includes(unit.path.split('/').at(-1) ?? '?'));
    assert.match(ran.stdout, /\n1 of 1 images: /);
    assert.match(ran.stderr, /^containerd at \/run\/containerd\/containerd\.sock, namespace k8s\.io$/m);
    const images = await store.images.list();
    assert.deepEqual(
      images.map(({ name }) => name.replace(/sha256:.*/, '')),
      [listed, `${registry.host}/small@`, ''],
    );
    for (const { labels } of images) assert.equal(labels['io.cri-containerd.pinned'], 'pinned');
    const [check] = commands.take('Did it work?', (line) => line.startsWith('hawser '));
    const checked = await onNode(`${runcmd[0]}\n${check}`);
    assert.match(checked.stdout, /complete.*true/, explain(checked));
  });

  test('the DaemonSet: its pod fills a node from the one machine that serves the bundle, and again costs a look', async () => {
    const server = hawser(quickest, join(temp.path, 'served'));
    const heading = 'A hundred nodes from one bundle: DaemonSet';
    const onServer = commands.take(heading, (line) => line.includes(' import '));
    const [listening = ''] = commands.take(heading, (line) => line.includes(' serve '));
    // In the place of hawser's own image: what is in it is not run here.
    await execOk('cp', [join(temp.path, 'node.tar.zst'), join(temp.path, 'hawser-oci.tar')]);
    await execOk('bash', ['-ec', onServer.join('\n')], {
      cwd: temp.path,
      env: { ...env, HAWSER_ROOT: server.root, PATH: `${join(temp.path, 'bin')}:${process.env.PATH}` },
    });
    const [, listen = ''] = /serve --listen (\S+)/.exec(listening) ?? [];
    const [map, set] = parseAllDocuments(blocks('yaml')[1] ?? '').map((one) => one.toJS());
    const pod = set.spec.template.spec;
    const [fill] = pod.initContainers;
    assert.deepEqual(set.spec.selector.matchLabels, set.spec.template.metadata.labels);
    assert.deepEqual(
      [map.metadata.name, map.metadata.namespace],
      ['hawser-bootstrap', set.metadata.namespace],
    );
    for (const { name } of fill.volumeMounts)
      assert.ok(
        pod.volumes.some((volume: { name: string }) => volume.name === name),
        name,
      );
    assert.ok(
      onServer.some((line) => line.includes(fill.image)),
      'the image of the pod is what is imported',
    );
    const served = await serve(quickest, server.root, '--access-log');
    let asked = '';
    served.child.stderr?.on('data', (bytes) => {
      asked += String(bytes);
    });
    const other = await startContainerd();
    const inNode = await openContainerd({ address: other.socket, namespace: 'k8s.io' });
    try {
      // What the kubelet does: the files of the ConfigMap and the socket, where the manifest mounts them.
      const volume = (name: string) => pod.volumes.find((one: { name: string }) => one.name === name);
      const config = join(temp.path, 'config');
      for (const { key, path } of volume('config').configMap.items) {
        mkdirSync(join(config, path, '..'), { recursive: true });
        const text = map.data[key]
          .replaceAll(listen, served.host)
          .replace('registry.k8s.io/pause:3.10', listed);
        writeFileSync(join(config, path), text);
      }
      const mounts = fill.volumeMounts.map(({ name, mountPath }: { name: string; mountPath: string }) => {
        const from = name === 'config' ? config : other.socket;
        const make =
          name === 'config'
            ? `mkdir -p ${mountPath}`
            : `mkdir -p $(dirname ${mountPath}); touch ${mountPath}`;
        return `${make}; mount --bind ${from} ${mountPath}`;
      });
      const run = () =>
        exec(
          'unshare',
          ['--mount', 'bash', '-ec', `${POD}\n${mounts.join('\n')}\n"$W/hawser" ${fill.args.join(' ')}`],
          { env },
        );
      const first = await run();
      assert.equal(first.code, 0, explain(first));
      assert.match(first.stdout, /\n1 of 1 images: /);
      const names = (await inNode.images.list()).map(({ name }) => name);
      assert.ok(names.includes(listed), names.join(' '));
      assert.match(
        asked,
        /GET \/v2\/small\/blobs\/\S+ 200/,
        'the content is from the machine with the bundle',
      );
      asked = '';
      assert.equal((await run()).code, 0);
      assert.doesNotMatch(asked, /\/blobs\//);
    } finally {
      await inNode[Symbol.asyncDispose]();
      await other.close();
      await served.stop();
    }
  });

  test('the containerd of k3s goes before the system’s; a socket that nobody listens at is passed over; none is an error', async () => {
    const both = await onNode('hawser bootstrap --json /media/bundle/node.tar.zst', {
      sockets: '/run/k3s/containerd/containerd.sock /run/containerd/containerd.sock',
    });
    assert.equal(both.code, 0, explain(both));
    assert.match(
      both.stderr,
      /containerd at \/run\/k3s\/containerd\/containerd\.sock, namespace k8s\.io \(not in \/run\/containerd\/containerd\.sock; --address chooses\)/,
    );
    assert.equal(JSON.parse(both.stdout).address, '/run/k3s/containerd/containerd.sock');
    const dead = await onNode('hawser bootstrap --json /media/bundle/node.tar.zst', {
      dead: '/run/k3s/containerd/containerd.sock',
    });
    assert.equal(dead.code, 0, explain(dead));
    assert.match(dead.stderr, /warning: nobody answers at \/run\/k3s/);
    assert.match(dead.stderr, /containerd at \/run\/containerd/);
    const none = await onNode('hawser bootstrap /media/bundle/node.tar.zst', { sockets: '' });
    assert.equal(none.code, 1);
    assert.match(
      none.stderr,
      /No containerd is found here: .*k3s.*\nhint: Start it first, or name its socket/,
    );
  });

  test('no command of the page is left', () => assert.deepEqual(commands.left(), []));
});
