import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html } from '../../../src/cli/render/markup.ts';
import { reportPage } from '../../../src/cli/render/report.ts';
import type { Row, Trace } from '../../../src/core/progress/trace.ts';
import { manyImages } from '../../support/traces.ts';

const span = (stage: 'fetch' | 'extract', start: number, end: number) => ({
  stage,
  start,
  end,
  bytes: 9_000_000,
  cut: false,
});
const row = (kind: Row['kind'], label: string, more: Partial<Row> = {}): Row => ({
  kind,
  label,
  digest: `sha256:${'a'.repeat(64)}`,
  size: 9_000_000,
  expanded: 0,
  entries: 0,
  times: {},
  spans: [],
  existed: false,
  retries: 0,
  image: '',
  failure: undefined,
  ...more,
});
const pull = (more: Partial<Trace> = {}): Trace => ({
  name: 'r.example/a:1',
  target: `sha256:${'b'.repeat(64)}`,
  startedAt: 0,
  ms: 2000,
  failure: undefined,
  rows: [
    row('image', 'image', { digest: '', size: 0 }),
    row('blob', `layer-sha256:${'a'.repeat(64)}`, { spans: [span('fetch', 100, 600)] }),
    row('layer', 'layer 1/1', {
      expanded: 30_000_000,
      entries: 1234,
      spans: [span('extract', 600, 1600), { ...span('extract', 1590, 1600), stage: 'commit' }],
      times: { inflate: 500, apply: 250 },
    }),
  ],
  verified: [],
  omitted: 0,
  ...more,
});

test('markup: everything put in is escaped, markup itself is not, lists are joined', () => {
  const evil = `"><img src=x onerror='alert(1)'>&`;
  const part = html`<b title="${evil}">${evil}</b>`;
  assert.equal(
    html`<p>${[part, 7]}</p>`.text,
    '<p><b title="&quot;&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;">' +
      '&quot;&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;</b>7</p>',
  );
});

test('report: the bottleneck in words, stages with their speed, interleaved work in proportion', () => {
  const page = reportPage(pull(), 'hawser on a machine');
  assert.match(
    page,
    /<p>Unpacking: 1\.00 s of 2\.00 s \(50%\) went into it, .* 66% was decompressing\.<\/p>/,
  );
  assert.match(page, /<li>fetch: 500 ms from 100 ms, 18\.0 MB\/s<\/li>/);
  assert.match(
    page,
    /<li>extract: 1\.00 s from 600 ms, 9\.0 MB\/s; of that inflate 500 ms, apply 250 ms<\/li>/,
  );
  assert.match(page, /<li>commit: 10 ms from 1\.59 s<\/li>/);
  assert.match(page, /<li>28\.6 MiB in 1,234 files and directories<\/li>/);
  assert.match(page, /left:30\.000%;width:50\.000%/);
  assert.match(page, /<i class="inflate" style="width:50\.000%">/);
  assert.match(page, /60\.0 MB\/s/);
  assert.match(page, /1,234/);
});

test('report: it needs nothing but itself and runs nothing', () => {
  const page = reportPage(pull(), '');
  const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  assert.ok(page.includes(`Content-Security-Policy" content="${policy}"`));
  assert.doesNotMatch(page, /<script|https?:|url\(|@import|\son[a-z]+=|<link|<img/i);
});

test('report: names, digests and errors of images and registries stay text, without secrets', () => {
  const evil = '</title><script>alert(1)</script>" onload="x';
  const secret = `${evil} https://u:pw@h/?sig=abc \u001b[31m`;
  const rows = [
    row('image', evil),
    row('blob', evil, { digest: evil }),
    row('layer', evil, { digest: evil }),
  ];
  const page = reportPage(pull({ name: secret, target: secret, failure: secret, rows }), evil);
  assert.equal(page.match(/<\/title>/g)?.length, 1);
  assert.doesNotMatch(page, /<script|" onload="|pw@|sig=abc|\u001b/);
  assert.match(page, /&lt;script&gt;alert\(1\)/);
  assert.match(page, /Failed: /);
});

test('report: nothing to show is a page too', () => {
  const page = reportPage(pull({ rows: [row('image', 'image')], ms: 0, name: '', omitted: 3 }), '');
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
  assert.match(page, /3 or more blobs and layers are not shown/);
});

test('report: of many images each has its lanes and its layers under its name, and its failure', () => {
  const page = reportPage(manyImages(3), '');
  assert.match(page, /<h1>3 images<\/h1>/);
  assert.deepEqual(
    [...page.matchAll(/<h3>([^<]*)(?:<span class="failure">(failed))?/g)].map(([, name, failed]) => [
      name?.trim(),
      failed,
    ]),
    [
      ['registry.example/app0:1', undefined],
      ['registry.example/app1:1', undefined],
      ['registry.example/app2:1', 'failed'],
    ],
  );
  assert.equal(page.match(/colspan="7" scope="rowgroup"/g)?.length, 3);
  assert.match(page, /Failed: 1 of 3 images failed<.*Failed: registry\.example\/app2:1: not found</s);
});
