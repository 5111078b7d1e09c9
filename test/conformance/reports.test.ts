/** Public reports of trouble with registries: the rows of `test/registry/reports`, as `test/registry/README.md` lists them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AUTH } from '../registry/reports/auth.ts';
import { CREDENTIALS } from '../registry/reports/credentials.ts';
import { DOCUMENTS } from '../registry/reports/documents.ts';
import { HOSTS } from '../registry/reports/hosts.ts';
import type { Report } from '../registry/reports/kit.ts';
import { PATIENCE } from '../registry/reports/patience.ts';
import { TRANSFER } from '../registry/reports/transfer.ts';

const REPORTS: readonly Report[] = [
  ...AUTH,
  ...CREDENTIALS,
  ...TRANSFER,
  ...DOCUMENTS,
  ...HOSTS,
  ...PATIENCE,
];

for (const { report, behaviour, check, skip = false } of REPORTS) {
  test(`${report}: ${behaviour}`, { skip }, check);
}

test('test/registry/README.md lists each report once, with its verdict', () => {
  const readme = readFileSync(join(import.meta.dirname, '../registry/README.md'), 'utf8');
  const listed = [...readme.matchAll(/^\| \S+#\d+ \|.*\|$/gm)].map(([line]) => line);
  const rows = REPORTS.map(({ report, behaviour, verdict }) => `| ${report} | ${behaviour} | ${verdict} |`);
  assert.deepEqual(listed, rows);
  assert.equal(new Set(REPORTS.map(({ report }) => report)).size, REPORTS.length, 'no report twice');
});
