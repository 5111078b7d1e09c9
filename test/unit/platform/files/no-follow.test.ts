/** Deno without --allow-all goes through a symlink whatever O_NOFOLLOW says: hawser must refuse the symlink all the same. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { execOk } from '../../../support/exec.ts';
import { deno, node26, repository } from '../../../support/runtimes.ts';

const RUNS: Readonly<Record<string, readonly string[]>> = {
  'Node 26': [node26, '--disable-warning=ExperimentalWarning'],
  'Deno -A': [deno, 'run', '-A', '--quiet'],
  'Deno with permission to read and write': [
    deno,
    'run',
    '--allow-read',
    '--allow-write',
    '--allow-env',
    '--quiet',
  ],
};

for (const [name, [file = '', ...args]] of Object.entries(RUNS)) {
  test(`a symlink in a file's place is not opened: ${name} (H46)`, async () => {
    // Below /dev, where HAWSER_TEST_TMP may be, Deno opens nothing without --allow-all.
    const dir = mkdtempSync(join(realpathSync(tmpdir()), 'hawser-links-'));
    try {
      const [real = '', link = '', dangling = ''] = ['real', 'link', 'dangling'].map((one) => join(dir, one));
      writeFileSync(real, 'x');
      symlinkSync(real, link);
      symlinkSync(join(dir, 'absent'), dangling);
      const probe = join(repository, 'test/support/link-probe.ts');
      const { stdout } = await execOk(file, [...args, probe, real, link, dangling]);
      assert.match(stdout, /^opened opened\nrefused refused\nrefused (?:refused|absent)\n$/);
      assert.equal(existsSync(join(dir, 'absent')), false);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}
