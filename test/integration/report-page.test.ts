/** The page of `--report` in a browser: on a phone and a screen, in light and dark, with keys alone, without a network. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { reportPage } from '../../src/cli/render/report.ts';
import type { Trace } from '../../src/core/progress/trace.ts';
import { type Browser, type Page, startBrowser } from '../support/browser.ts';
import { anyFlavour, hawser } from '../support/hawser.ts';
import { findTool, needs } from '../support/needs.ts';
import { serveImage, startStaticRegistry } from '../support/static-registry.ts';
import { tempDir } from '../support/tmp.ts';
import { failedPull, hostilePull, manyImages, pullOf } from '../support/traces.ts';

const skip = needs({ tools: ['chromium'] });

let browser: Browser;
const scratch = tempDir();
const dir = scratch.path;
before(() => {
  if (skip === false) browser = startBrowser(findTool('chromium') ?? '', join(dir, 'profile'));
});
after(async () => {
  if (skip === false) await browser[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

async function opened(name: string, trace: Trace): Promise<Page> {
  const file = join(dir, `${name}.html`);
  writeFileSync(file, reportPage(trace, 'hawser on a machine'));
  return browser.open(file, { width: 420, scheme: 'light' });
}

/** Each text with the lowest contrast to what is behind it, and each stage with that to its track and its card, by WCAG 2.2. */
const CONTRASTS = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = rgb(colour).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [more, less] = [light(a), light(b)].sort((x, y) => y - x);
    return (more + 0.05) / (less + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (rgb(backgroundColor)[3] === 255) return backgroundColor;
    }
    return 'white';
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    if (node.data.trim() === '') continue;
    const element = node.parentElement;
    texts.push({ what: node.data.trim().slice(0, 40), ratio: contrast(getComputedStyle(element).color, behind(element)) });
  }
  const root = getComputedStyle(document.documentElement);
  const value = (name) => root.getPropertyValue(name).trim();
  const stages = ['resolve', 'fetch', 'wait', 'verify', 'extract', 'inflate', 'apply', 'rebase', 'commit', 'sync', 'record', 'focus'];
  const marks = stages.flatMap((name) => ['--grid', '--card'].map((on) => ({ what: name + ' on ' + on, ratio: contrast(value('--' + name), value(on)) })));
  return { texts, marks };
})()`;

interface Contrast {
  readonly what: string;
  readonly ratio: number;
}

const WIDTHS = '[document.documentElement.scrollWidth, document.documentElement.clientWidth]';

for (const [name, trace] of [
  ['six layers', pullOf(6)],
  ['60 layers', pullOf(60)],
  ['three images', manyImages(3)],
  ['a failed pull', failedPull()],
  ['hostile names', hostilePull()],
] as const) {
  test(`report page: ${name}: no sideways scroll, contrast in both schemes, nothing asked for`, {
    skip,
  }, async () => {
    const page = await opened(name, trace);
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    for (const scheme of ['light', 'dark'] as const) {
      for (const width of [320, 420, 1200]) {
        await page.show({ width, scheme });
        const [needed = 0, there = 0] = await page.evaluate<number[]>(WIDTHS);
        assert.ok(there > width - 20 && needed <= there, `${needed} of ${there} px`);
      }
      const { texts, marks } = await page.evaluate<Record<'texts' | 'marks', Contrast[]>>(CONTRASTS);
      assert.ok(texts.length > 20 && marks.length === 24);
      for (const { what, ratio } of texts) assert.ok(ratio >= 4.5, `${scheme}: ${what}: ${ratio}`);
      for (const { what, ratio } of marks) assert.ok(ratio >= 3, `${scheme}: ${what}: ${ratio}`);
    }
    assert.deepEqual(page.complaints, []);
  });
}

test('report page: keys alone reach each lane in order, show where they are, and open it; no tooltip has a fact of its own', {
  skip,
}, async () => {
  const page = await opened('keys', manyImages(2));
  const lanes = await page.evaluate<number>("document.querySelectorAll('summary').length");
  assert.ok(lanes === 10);
  const focused = `(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return [[...document.querySelectorAll('summary')].indexOf(document.activeElement), outlineStyle, outlineWidth];
  })()`;
  for (let lane = 0; lane < lanes; lane++) {
    await page.press('Tab');
    assert.deepEqual(await page.evaluate(focused), [lane, 'solid', '2px']);
  }
  const words = 'document.activeElement.nextElementSibling.innerText';
  assert.equal(await page.evaluate('document.activeElement.parentElement.open'), false);
  await page.press('Enter');
  assert.equal(await page.evaluate('document.activeElement.parentElement.open'), true);
  assert.match(await page.evaluate(words), /sha256:[0-9a-f]{64}.*extract: .* from .*; of that/s);
  assert.equal(await page.evaluate("document.querySelectorAll('[title], a, button, input').length"), 0);
});

test('report page: hostile names are text, and what would run or load is refused', { skip }, async () => {
  const page = await opened('hostile', hostilePull());
  assert.equal(
    await page.evaluate("document.querySelectorAll('script, img, body [onload], iframe').length"),
    0,
  );
  assert.match(await page.evaluate('document.body.innerText'), /<script>alert\(1\)<\/script>/);
  assert.deepEqual(page.complaints, []);
  await page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x' }))");
  await page.evaluate('new Promise((resolve) => setTimeout(resolve, 200))');
  assert.match(page.complaints.join(), /Content Security Policy/);
});

test('report page: a fetch of the command line writes such a page', {
  skip: skip || anyFlavour.skip,
}, async () => {
  await using registry = await startStaticRegistry();
  await serveImage(registry);
  const file = join(dir, 'fetched.html');
  await hawser(anyFlavour, join(dir, 'store')).ok(
    'content',
    'fetch',
    '--report',
    file,
    `${registry.host}/x:1`,
  );
  const page = await browser.open(file, { width: 420, scheme: 'dark' });
  const [needed, there] = await page.evaluate<number[]>(WIDTHS);
  assert.equal(needed, there);
  assert.match(await page.evaluate('document.body.innerText'), /BOTTLENECK/);
  assert.deepEqual(page.complaints, []);
});
