/** `hawser/web` in Deno that may do nothing but connect to the registry. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { buildImage, buildIndex } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { exec, execOk } from '../support/exec.ts';
import { deno, repository } from '../support/runtimes.ts';
import { scratch } from '../support/scratch.ts';

const program = (ref: string): string => `
import { config, files, isKind, manifest, open, resolve, tags } from '${join(repository, 'src/web.ts')}';
const ref = ${JSON.stringify(ref)};
const network = { credentials: { username: 'robot', secret: 'hunter2' } };
const options = { platform: 'linux/arm64', ...network };
const found = [];
for await (const file of files(ref, options)) found.push(file.path);
const { digest } = await resolve(ref, options);
console.log(JSON.stringify({
  found,
  same: (await manifest(ref, options)).descriptor.digest === digest,
  architecture: (await config(ref, options)).platform.architecture,
  tags: await tags(ref, network),
  motd: await new Response(await open(ref, '/etc/motd', options)).text(),
  none: await open(ref, '/none', options).catch((err) => isKind(err, 'NotFound')),
}));
const states = [];
for (const name of ['env', 'read', 'write', 'run', 'sys', 'ffi']) states.push((await Deno.permissions.query({ name })).state);
console.log(states.join());
`;

test('web: registry and files in memory, in Deno with no permission but the network', async () => {
  const temp = scratch();
  const registry = await startRegistry({ auth: { mode: 'bearer', user: 'robot', pass: 'hunter2' } });
  try {
    const images = ['amd64', 'arm64'].map((architecture) =>
      buildImage({
        platform: { os: 'linux', architecture },
        layers: [
          {
            entries: [
              { name: 'etc/motd', data: 'old' },
              { name: 'etc/gone', data: '' },
            ],
          },
          { entries: [{ name: 'etc/motd', data: architecture }], compression: 'zstd' },
          { entries: [{ name: 'etc/.wh.gone', data: '' }], compression: 'none' },
        ],
      }),
    );
    const ref = registry.push('a/b', 'v1', buildIndex(await Promise.all(images)));
    const path = join(temp.path, 'main.js');
    writeFileSync(path, program(ref));
    const env = { ...process.env, DENO_DIR: join(temp.path, 'deno'), NO_COLOR: '1' };
    const run = ['run', '--no-prompt', '--quiet', '--config', join(repository, 'deno.json')];
    const { stdout } = await execOk(deno, [...run, `--allow-net=${registry.host}`, path], { env });
    const [line = '', states] = stdout.split('\n');
    assert.deepEqual(JSON.parse(line), {
      found: ['/etc', '/etc/motd'],
      same: true,
      architecture: 'arm64',
      tags: ['v1'],
      motd: 'arm64',
      none: true,
    });
    assert.equal(states, 'prompt,prompt,prompt,prompt,prompt,prompt');
    const shut = await exec(deno, [...run, path], { env });
    assert.equal(shut.code, 1);
    assert.match(
      shut.stderr,
      /connecting to \S+: Deno does not allow that without --allow-net=127\.0\.0\.1:\d+/,
    );
  } finally {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  }
});
