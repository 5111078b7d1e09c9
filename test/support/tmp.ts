import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** A fresh directory under HAWSER_TEST_TMP or the system's; removed when disposed. */
export function tempDir(name = 'hawser-test-'): { path: string } & Disposable {
  const path = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), name));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
