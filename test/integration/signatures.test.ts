/** Signatures inside a running containerd, which keeps them as long as their image; and what `serve` gives of them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type Containerd, installations, startContainerd } from '../support/containerd.ts';
import { exec, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { serve } from '../support/serving.ts';
import { type Form, newSigner, type Signer } from '../support/signing.ts';

const REPO = 'team/app';
const [file, ...first] = quickest.command;
const hawser = (...args: string[]) => exec(file, [...first, ...args]);

let temp: Scratch;
let registry: TestRegistry;
/** Who has signed in which form. */
let signers: Readonly<Record<Form, Signer>>;
let nobody: Signer;
let digest: string;
let ref: string;

before(async () => {
  temp = scratch();
  registry = await startRegistry({ lists: { referrers: { filters: true } } });
  signers = { attachment: newSigner(temp.path), bundle: newSigner(temp.path) };
  nobody = newSigner(temp.path);
  const image = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'x' }] }] });
  digest = image.root.digest;
  ref = registry.push(REPO, '1', image);
  for (const form of ['attachment', 'bundle'] as const) signers[form].sign(registry, REPO, digest, form);
});
after(async () => {
  await registry.close();
  await temp[Symbol.asyncDispose]();
});

/** The command ends as told. */
async function ends(code: number, ...args: string[]): Promise<string> {
  const done = await hawser(...args);
  assert.equal(done.code, code, explain(done));
  return done.stdout;
}

for (const installation of installations)
  test(`inside ${installation.name} signatures are kept, cross a gap, and go with the image`, {
    skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
  }, async () => {
    const daemon = await startContainerd(undefined, '', installation, { cri: true });
    try {
      await inside(daemon);
    } finally {
      await daemon.close();
    }
  });

async function inside(daemon: Containerd): Promise<void> {
  const at = (namespace: string) => ['--address', daemon.socket, '-n', namespace];
  const judge = (namespace: string, code: number, { key }: Signer) =>
    ends(code, ...at(namespace), 'images', 'verify', '--signatures', '--verify-key', key);
  const archive = join(daemon.root, '..', 'app.tar');
  await ends(0, ...at('near'), 'fetch', '--signatures', ref);
  registry.requests.length = 0;
  await collected(daemon, 'near');
  await judge('near', 0, signers.attachment);
  await judge('near', 1, nobody);
  await ends(0, ...at('near'), 'export', archive, ref);
  const load = ['bootstrap', '--snapshotter', 'native', '--verify-key'];
  await ends(1, ...at('k8s.io'), ...load, nobody.key, archive);
  await ends(0, ...at('k8s.io'), ...load, signers.bundle.key, archive);
  await collected(daemon, 'k8s.io');
  // What the node has is judged by what came with it.
  const list = join(temp.path, 'list.txt');
  writeFileSync(list, `${ref}\n`);
  await ends(0, ...at('k8s.io'), ...load, signers.attachment.key, list);
  assert.deepEqual(registry.requests, [], 'no registry is asked');
  await daemon.ctr('-n', 'near', 'images', 'rm', '--sync', ref);
  assert.equal((await daemon.ctr('-n', 'near', 'content', 'ls', '-q')).stdout.trim(), '');
}

/** containerd collects when an image goes at once: here a second name. */
async function collected(daemon: Containerd, namespace: string): Promise<void> {
  await daemon.ctr('-n', namespace, 'images', 'tag', ref, 'tidy.test/x:1');
  await daemon.ctr('-n', namespace, 'images', 'rm', '--sync', 'tidy.test/x:1');
}

test('serve gives signatures to who asks for them, in both forms', async () => {
  const root = join(temp.path, 'served');
  await ends(0, '--root', root, 'fetch', '--signatures', ref);
  const served = await serve(quickest, root);
  try {
    const signedIdentity = { type: 'exactRepository', dockerRepository: `${registry.host}/${REPO}` };
    for (const form of ['attachment', 'bundle'] as const) {
      const policy = join(temp.path, `${form}.json`);
      const requirement = { type: 'sigstore', keyPath: signers[form].key, signedIdentity };
      writeFileSync(policy, JSON.stringify({ default: [requirement] }));
      const said = await ends(0, 'verify', '--policy', policy, `${served.host}/${REPO}:1`);
      assert.match(said, /verified sha256:\w+: key SHA256:/);
    }
    const tag = `${digest.replace(':', '-')}.sig`;
    const status = async (name: string) => (await fetch(`http://${served.host}/v2/${name}`)).status;
    assert.equal(await status(`${REPO}/manifests/${tag}`), 200);
    assert.equal(await status(`${REPO}/manifests/${tag.replace('.sig', '.att')}`), 404);
    assert.equal(await status(`team/nothing/manifests/${tag}`), 404);
  } finally {
    await served.stop();
  }
});
