/** The commands of docs/trust.md, as they stand there: an image is signed, verified, and kept out of a node where it is not signed. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { findTool, needs } from '../support/needs.ts';
import { blocksOf, Commands } from '../support/readme.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';
import { pushRealImage, realKey } from '../support/trust-fixtures.ts';

const PAGE = 'docs/trust.md';

/** In a mount namespace of its own: /etc is a copy, what else the guide writes to is empty. */
const NODE = `
set -e
mount --make-rprivate /
cp -a /etc "$W/etc"; mount --bind "$W/etc" /etc
for dir in /opt /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
mkdir -p /etc/hawser
cp "$W/bin/hawser" /usr/local/bin/
cp "$W/policy.json" "$W/cosign.pub" /etc/hawser/
export PATH="/usr/local/bin:$PATH"
`;
const VERIFIER = '/opt/containerd/image-verifier/bin/10-hawser';

/** Signed for the test where cosign 3 is; else what cosign has signed before. */
const signers = [
  { by: 'a signature made before', skip: false },
  { by: 'cosign', skip: findTool('cosign') === undefined ? 'no cosign' : false },
] as const;

for (const { by, skip } of signers) {
  describe(`${PAGE}, with ${by}`, {
    skip: needs({ root: true, tools: ['docker-registry', 'skopeo', 'unshare'] }) || skip,
  }, () => {
    let temp: Scratch;
    let registry: RealRegistry;
    let env: NodeJS.ProcessEnv;

    const commands = new Commands(PAGE, 'integration/trust-guide.test.ts');
    const ours = (text: string): string => text.replaceAll('registry.example', registry.host);
    /** Lines of the page, with our registry in the place of the example. */
    const take = (...which: Parameters<Commands['take']>): string => ours(commands.take(...which).join('\n'));

    before(async () => {
      temp = scratch();
      registry = await startDockerRegistry();
      const bin = join(temp.path, 'bin');
      mkdirSync(bin);
      const program = `#!/bin/sh\nexec ${quickest.command.map((word) => `'${word}'`).join(' ')} "$@"\n`;
      writeFileSync(join(bin, 'hawser'), program);
      chmodSync(join(bin, 'hawser'), 0o755);
      const imageOf = async (bytes: number) => {
        const parent = join(temp.path, String(bytes));
        mkdirSync(parent);
        return `${await smallImage(parent, { layers: 1, bytes, files: 1 })}:small`;
      };
      await registry.push(await imageOf(1000), 'team/unsigned:1.0');
      const root = { HAWSER_ROOT: join(temp.path, 'root'), COSIGN_PASSWORD: '', HOME: temp.path };
      env = { ...process.env, ...root, W: temp.path, PATH: `${bin}:${process.env.PATH}` };
      if (by === 'cosign') {
        await registry.push(await imageOf(2000), 'team/app:1.0');
        const { stdout } = await inTurn(`hawser digest ${registry.host}/team/app:1.0`);
        const sign = take('Sign, where the image is built');
        await inTurn(
          `DIGEST=${stdout.trim()}\n${sign.replace('cosign sign', '$& --allow-insecure-registry')}`,
        );
      } else {
        await pushRealImage(registry.host, 'cosign3', 'team/app');
        await inTurn(`hawser copy ${registry.host}/team/app:1 ${registry.host}/team/app:1.0`);
        copyFileSync(realKey('signer.pub'), join(temp.path, 'cosign.pub'));
      }
      writeFileSync(join(temp.path, 'policy.json'), policy());
    });
    after(async () => {
      await registry.close();
      await temp[Symbol.asyncDispose]();
    });

    const policy = (): string =>
      ours(
        blocksOf(PAGE)
          .find(({ language }) => language === 'json')
          ?.lines.join('\n') ?? '',
      );
    const inTurn = (commands: string): Promise<ExecResult> =>
      execOk('bash', ['-ec', commands], { cwd: temp.path, env });
    const onNode = (commands: string): Promise<ExecResult> =>
      exec('unshare', ['--mount', 'bash', '-c', `${NODE}\n${commands}`], { cwd: temp.path, env });

    test('a pull by the key: the signed image, not another', async () => {
      const pull = take('Verify, at a pull');
      const done = await inTurn(pull);
      assert.match(done.stdout, /team\/app:1\.0: verified sha256:\w+: key SHA256:/);
      const other = await exec('bash', ['-ec', pull.replaceAll('team/app', 'team/unsigned')], {
        cwd: temp.path,
        env,
      });
      assert.equal(other.code, 1, explain(other));
      assert.match(other.stderr, /not signed/);
    });

    test('image and signatures go across a gap; what is not signed, and another key, do not', async () => {
      const heading = 'Carry image and signatures across a gap';
      const isHere = (line: string): boolean => /^hawser (?:pull|export) /.test(line);
      const carry = take(heading, isHere);
      const bring = take(heading, (line) => !isHere(line));
      for (const [app, key, code] of [
        ['app', 'cosign.pub', 0],
        ['app', realKey('other.pub'), 1],
        ['unsigned', 'cosign.pub', 1],
      ] as const) {
        const far = { ...env, HAWSER_ROOT: join(temp.path, `far-${app}-${code}`) };
        // What is not signed does not come in with the key, and has to be refused on the far side, too.
        const pulled = app === 'app' ? carry : carry.replace(' --verify-key cosign.pub', '');
        await inTurn(`rm -f app.tar\n${pulled.replaceAll('team/app', `team/${app}`)}`);
        const come = bring.replaceAll('cosign.pub', key);
        const done = await exec('bash', ['-ec', come], { cwd: temp.path, env: far });
        assert.equal(done.code, code, explain(done));
      }
    });

    test('a policy on the node, and hawser as an image verifier of containerd', async () => {
      const pull = take('On a node, for every pull: a policy');
      const link = take('What containerd pulls by itself');
      assert.equal((await onNode(pull)).code, 0);
      const other = await onNode(pull.replaceAll('team/app', 'team/unsigned'));
      assert.equal(other.code, 1, explain(other));
      assert.match(other.stderr, /not signed.*policy \/etc\/hawser\/policy\.json/);
      const ask = (name: string) => `
${link}
digest=$(hawser digest ${registry.host}/${name})
type=application/vnd.oci.image.manifest.v1+json
echo "{\\"mediaType\\":\\"$type\\",\\"digest\\":\\"$digest\\",\\"size\\":400}" |
  (cd /; exec ${VERIFIER} -name ${registry.host}/${name} -digest $digest -stdin-media-type application/vnd.oci.descriptor.v1+json)`;
      const yes = await onNode(ask('team/app:1.0'));
      assert.equal(yes.code, 0, explain(yes));
      const no = await onNode(ask('team/unsigned:1.0'));
      assert.equal(no.code, 1, explain(no));
      assert.match(no.stdout, /not signed/);
    });

    test('no command of the page is left', () => assert.deepEqual(commands.left(), []));
  });
}
