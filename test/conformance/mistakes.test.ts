/** Plain mistakes at the command line: each is told with what its user can do. What came wrong over a network: test/unit/registry/errors.test.ts. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Runtime } from '../../src/core/runtime.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { runHere } from '../support/command-line.ts';
import { needs } from '../support/needs.ts';
import { bytes, concat, member } from '../support/tar-builder.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const ARCHIVE = /^hint: hawser reads OCI image layouts and Docker archives/m;
const PATH = /^hint: .*a relative (?:one|path) begins at the working directory/m;

/** DIR: a directory with files of the user. */
const ROWS: readonly (readonly [line: string, hint: RegExp])[] = [
  ['import DIR/nothing.tar', PATH],
  ['import DIR/text', ARCHIVE],
  ['import DIR/empty', ARCHIVE],
  ['import DIR/cut.tar', ARCHIVE],
  ['import DIR/cut.tar.gz', ARCHIVE],
  ['import DIR/other.tar', ARCHIVE],
  ['import DIR/subdirectory', ARCHIVE],
  ['import DIR/text/below', PATH],
  ['pull -f DIR/nothing', PATH],
  ['pull -f DIR/subdirectory', PATH],
  ['lock DIR/nothing', PATH],
  ['export DIR/out.tar -f DIR/nothing', PATH],
  ['export --lacks DIR/nothing DIR/out.tar alpine', PATH],
  ['export --lacks DIR/text DIR/out.tar alpine', /^hint: Name a file of hawser inventory/m],
  ['pull --retry 0 --tlscacert DIR/nothing 127.0.0.1:1/a:1', PATH],
  ['pull --retry 0 --tlscert DIR/nothing --tlskey DIR/nothing 127.0.0.1:1/a:1', PATH],
  ['pull --retry 0 --verify-key DIR/nothing 127.0.0.1:1/a:1', /^hint: /m],
  ['pull --pull always alpine', /^hint: hawser pull asks the registry each time/m],
  ['images repair --dry-run', /^hint: hawser images verify says what is damaged/m],
  ['images ls name~=(', /^hint: /m],
  ['images unmount DIR/subdirectory', /^hint: Nothing is mounted there/m],
  ['content verify DIGEST', /^hint: hawser content ls/m],
  ['snapshots verify key', /^hint: hawser snapshots ls/m],
  ['snapshots view new key', /^hint: hawser snapshots ls/m],
  ['snapshots prepare twice', /^hint: hawser snapshots ls lists the snapshots: take another key/m],
  ['snapshots commit twice twice', /^hint: /m],
  ['snapshots view new twice', /^hint: Give a key, and a parent that is committed/m],
  ['leases create --id twice', /^hint: hawser leases ls lists the leases: take another --id/m],
  ['leases create =x', /^hint: /m],
  [`leases create a=${'x'.repeat(5000)}`, /^hint: Shorten the key or the value/m],
  ['namespaces create twice', /^hint: hawser namespaces label NAME KEY=VALUE/m],
  [`namespaces create ${'x'.repeat(80)}`, /^hint: Use letters and digits/m],
  ['serve --listen 127.0.0.1:0 --htpasswd DIR/nothing', PATH],
  ['serve --listen 127.0.0.1:0 --htpasswd DIR/text', /^hint: htpasswd -B/m],
  ['serve --listen 127.0.0.1:0 --htpasswd DIR/empty', /^hint: htpasswd -B/m],
  [
    'serve --listen 127.0.0.1:0 --tlscert DIR/text --tlskey DIR/text --tlscacert DIR/text',
    /^hint: .*-----BEGIN/m,
  ],
  ['serve --listen 0.0.0.0:0', /^hint: Add --tlscert and --tlskey, or --plain-http/m],
  ['serve --listen nowhere', /^hint: Write it as ADDRESS:PORT/m],
];

const tarOf = (name: string, data: string): Uint8Array =>
  concat([member({ name, size: data.length }, bytes(data)), new Uint8Array(1024)]);

let runtime: Runtime;
let dir: ReturnType<typeof tempDir>;
const at = (name: string): string => join(dir.path, name);
const run = (...args: readonly string[]) => runHere(runtime, at('root'), args);

before(async () => {
  runtime = composeRuntime(parts, { workerUrl: workerUrl() });
  dir = tempDir();
  const archive = tarOf('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
  mkdirSync(at('subdirectory'));
  for (const [name, data] of Object.entries({
    text: 'hello',
    empty: '',
    'cut.tar': archive.subarray(0, 700),
    'cut.tar.gz': gzipSync(archive).subarray(0, 60),
    'other.tar': tarOf('a', 'x'),
  }))
    writeFileSync(at(name), data);
  for (const line of ['snapshots prepare twice', 'leases create --id twice', 'namespaces create twice'])
    await run(...line.split(' '));
});
after(async () => {
  await runtime.workers[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

for (const [line, hint] of ROWS) {
  // Only root can make snapshots.
  test(line.slice(0, 100), {
    skip: / twice$/.test(line) && line.startsWith('snapshots') && needs({ root: true }),
  }, async () => {
    const ran = await run(...line.replaceAll('DIR', dir.path).replace('DIGEST', DIGEST).split(' '));
    assert.notEqual(ran.code, 0, ran.out);
    assert.match(ran.err, hint);
  });
}
