/** The reader against other tars: what tar-stream writes and reads, and what GNU tar writes. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { extract, type Header, pack } from 'tar-stream';
import { needs } from '../../support/needs.ts';
import { chosenSeed } from '../../support/seed.ts';
import { tempDir } from '../../support/tmp.ts';
import { record, split } from './events.ts';
import { random } from './random.ts';

type Plain = {
  name: string;
  type: string;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  link: string;
};

function packed(entries: readonly (Partial<Header> & { name: string; body: string })[]): Promise<Uint8Array> {
  const out = pack();
  for (const { body, ...headers } of entries) out.entry(headers, body);
  out.finalize();
  return collect(out as unknown as AsyncIterable<Uint8Array>);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function oracle(tar: Uint8Array): Promise<(Plain & { content: string })[]> {
  const out: (Plain & { content: string })[] = [];
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    const { header: h } = entry;
    const content = Buffer.from(await collect(entry as unknown as AsyncIterable<Uint8Array>)).toString(
      'latin1',
    );
    out.push({
      name: Buffer.from(h.name).toString('latin1'),
      type: h.type ?? '',
      size: h.size ?? 0,
      mode: h.mode ?? 0,
      uid: h.uid ?? 0,
      gid: h.gid ?? 0,
      link: Buffer.from(h.linkname ?? '').toString('latin1'),
      content,
    });
  }
  return out;
}

const NAMES = { file: 'file', directory: 'directory', symlink: 'symlink', hardlink: 'link' } as const;

test('random ordinary tars read as tar-stream reads them, however they are cut', async () => {
  const seed = chosenSeed();
  console.log(`seed ${seed}`);
  const next = random(seed);
  for (let round = 0; round < 20; round++) {
    const entries = Array.from({ length: 1 + next(8) }, (_, i) => {
      const type = (['file', 'directory', 'symlink', 'link', 'fifo'] as const)[next(5)] ?? 'file';
      const name = `${next(2) ? 'é' : 'n'}${'x/y'.repeat(next(70))}${i}`;
      const body = type === 'file' ? 'b'.repeat([0, 1, 511, 512, 513, 3000][next(6)] ?? 0) : '';
      const linkname = type === 'symlink' || type === 'link' ? `t${'q'.repeat(next(150))}` : undefined;
      const headers = {
        name,
        type,
        mode: next(0o10000),
        uid: next(70000),
        gid: next(70000),
        mtime: new Date(0),
      };
      return { ...headers, ...(linkname === undefined ? {} : { linkname }), size: body.length, body };
    });
    const tar = await packed(entries);
    const found = record(split(tar, 1 + next(2000)));
    const plain = found.map(({ entry, content }) => ({
      name: entry.type === 'directory' ? entry.name.replace(/\/$/, '') : entry.name,
      type: entry.type in NAMES ? NAMES[entry.type as keyof typeof NAMES] : entry.type,
      size: entry.size,
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      link: entry.linkName,
      content,
    }));
    const wanted = (await oracle(tar)).map((w) => ({
      ...w,
      name: w.type === 'directory' ? w.name.replace(/\/$/, '') : w.name,
    }));
    assert.deepEqual(plain, wanted, `seed ${seed} round ${round}`);
  }
});

for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'posix']) {
  test(`what GNU tar writes as ${format}`, { skip: needs({ tools: ['tar'] }) }, () => {
    const tmp = tempDir();
    try {
      const dir = join(tmp.path, 'in');
      mkdirSync(join(dir, 'sub'), { recursive: true });
      writeFileSync(join(dir, 'file'), 'content');
      symlinkSync('file', join(dir, 'link'));
      const long = format === 'v7' || format === 'ustar' ? 'l'.repeat(90) : 'l'.repeat(200);
      writeFileSync(join(dir, 'sub', long), '');
      const holes = format !== 'v7' && format !== 'ustar';
      writeFileSync(join(dir, 'sparse'), 'start');
      if (holes) truncateSync(join(dir, 'sparse'), 1 << 20);
      const args = ['--sort=name', '--owner=5', '--group=6', `--format=${format}`, ...(holes ? ['-S'] : [])];
      execFileSync('tar', ['-C', dir, ...args, '-cf', join(tmp.path, 't.tar'), '.']);
      const tar = readFileSync(join(tmp.path, 't.tar'));
      const found = record([tar]);
      assert.deepEqual(record(split(tar, 1)), found);
      const brief = found.map((f) => [
        f.entry.name.replace(/\/$/, ''),
        f.entry.type,
        f.entry.size,
        f.entry.linkName,
      ]);
      assert.deepEqual(brief, [
        ['.', 'directory', 0, ''],
        ['./file', 'file', 7, ''],
        ['./link', 'symlink', 0, 'file'],
        ['./sparse', 'file', holes ? 1 << 20 : 5, ''],
        ['./sub', 'directory', 0, ''],
        [`./sub/${long}`, 'file', 0, ''],
      ]);
      assert.ok(found.every((f) => f.entry.uid === 5 && f.entry.gid === 6 && f.ended));
      const sparse = found[3];
      assert.equal(sparse?.content.replaceAll('\0', ''), 'start');
      if (holes) assert.match(sparse?.shape ?? '', /h\d+$/);
    } finally {
      tmp[Symbol.dispose]();
    }
  });
}
