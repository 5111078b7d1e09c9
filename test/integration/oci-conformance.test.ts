/** `hawser serve` under the conformance suite of the OCI distribution-spec, as a registry that is only read. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { sha256, startRegistry } from '../registry/registry.ts';
import { exec } from '../support/exec.ts';
import { hawser, quickest } from '../support/hawser.ts';
import { requirePeer } from '../support/needs.ts';
import { type Daemon, freePort, startDaemon } from '../support/processes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const suite: string = process.env.OCI_CONFORMANCE ?? '';
if (suite === '') requirePeer('OCI_CONFORMANCE');

describe('the conformance suite', {
  skip: suite === '' && 'needs OCI_CONFORMANCE (scripts/ci-peers.sh)',
}, () => {
  let temp: Scratch;
  let server: Daemon;
  let host: string;
  let image: TestImage;
  let index: TestImage;
  let settings: Readonly<Record<string, string>>;

  before(async () => {
    temp = scratch('hawser-suite-');
    image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x'.repeat(5000) }] }] });
    index = buildIndex([
      image,
      await buildImage({ layers: [], platform: { os: 'linux', architecture: 'arm64' } }),
    ]);
    const root = join(temp.path, 'root');
    const registry = await startRegistry();
    try {
      for (const tag of ['1', '2', 'latest'])
        await hawser(quickest, root).ok(
          'content',
          'fetch',
          '--all-platforms',
          registry.push('t/img', tag, index),
        );
    } finally {
      await registry.close();
    }
    host = `127.0.0.1:${await freePort()}`;
    const [file, ...more] = quickest.command;
    const ready = async () => (await fetch(`http://${host}/healthz`).catch(() => undefined))?.ok === true;
    server = await startDaemon(file, [...more, '--root', root, 'serve', '--listen', host], ready);
    const digests = [index.root, ...index.manifests].map(({ digest }) => digest);
    settings = {
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_API_PUSH: 'false',
      OCI_REPO1: 't/img',
      OCI_RESULTS_DIR: join(temp.path, 'results'),
      OCI_RO_DATA_TAGS: '1 2 latest',
      OCI_RO_DATA_MANIFESTS: [...new Set(digests)].join(' '),
      OCI_RO_DATA_BLOBS: [...image.blobs.keys()].join(' '),
      OCI_RO_DATA_REFERRERS: image.root.digest,
    };
  });
  after(async () => {
    await server?.stop();
    await temp?.[Symbol.asyncDispose]();
  });

  /** The report's tests that did not pass: `name` to the reasons. The suite ends with a panic of its own when its report is written. */
  const failed = async (version: string, deletes: boolean) => {
    const flags = ['TAGS', 'MANIFESTS', 'BLOBS'].map((what) => [`OCI_API_${what}_DELETE`, String(deletes)]);
    const env = { ...process.env, ...settings, ...Object.fromEntries(flags), OCI_VERSION: version };
    const { stdout, stderr } = await exec(suite, [], { env });
    const [report = ''] = stdout.split('\n\n');
    const lines = report.split('\n').filter((line) => /^ *(?:OCI Conformance Test|- )/.test(line));
    const passed = lines.filter((line) => line.endsWith(': Pass')).length;
    assert.ok(passed >= 12, `${passed} passed:\n${stdout}${stderr}`);
    for (const what of [
      'tag-list',
      'blob-head',
      'blob-get',
      'manifest-by-tag',
      'manifest-by-digest',
      'referrers',
      'ping',
    ])
      assert.match(report, new RegExp(`/${what}: `), 'the suite has tests of that');
    return lines
      .filter((line) => /^ *- /.test(line) || /: (?:FAIL|Error)$/.test(line))
      .map((line) => line.trim());
  };

  test('A35: every test of the pull category passes', async () => {
    assert.deepEqual(await failed('1.1', false), []);
  });

  test('A35: so it does by what the next version of the specification wants', async () => {
    const reasons = (await failed('1.1+dev', false)).filter((line) => line.startsWith('- '));
    // The suite looks for the header in answers that it does not keep for data whose bytes it was not given (ManifestHeadExists).
    assert.deepEqual([...new Set(reasons)], ['- registry did not return a Docker-Content-Digest header']);
    for (const [object, digest] of [
      ['1', index.root.digest],
      [image.root.digest, image.root.digest],
    ] as const)
      for (const method of ['HEAD', 'GET']) {
        const answer = await fetch(`http://${host}/v2/t/img/manifests/${object}`, { method });
        assert.equal(answer.headers.get('docker-content-digest'), digest, `${method} ${object}`);
        await answer.arrayBuffer();
      }
  });

  test('A35: deletes are refused as the suite wants, and everything is still there', async () => {
    assert.deepEqual([...new Set(await failed('1.1', true))], ['- registry returned status 405']);
    for (const [digest, bytes] of image.blobs) {
      const answer = await fetch(`http://${host}/v2/t/img/blobs/${digest}`);
      assert.equal(sha256(new Uint8Array(await answer.arrayBuffer())), sha256(bytes));
    }
    for (const tag of ['1', '2', 'latest'])
      assert.equal((await fetch(`http://${host}/v2/t/img/manifests/${tag}`)).status, 200);
  });
});
