/** The real image (scripts/fixtures), built on first use. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { execOk } from './exec.ts';
import { node26, repository } from './runtimes.ts';

/** What building and checking the real image takes. */
export const FIXTURE_TOOLS: readonly string[] = ['mmdebstrap', 'setcap', 'setfattr', 'openssl', 'flock'];

/** The OCI layout's directory. Several test processes may ask at once: one builds. */
export async function realImage(): Promise<string> {
  const cache = process.env.HAWSER_FIXTURES ?? join(repository, 'build/fixtures');
  mkdirSync(cache, { recursive: true });
  const script = join(repository, 'scripts/fixtures/build-image.ts');
  const args = [join(cache, 'lock'), node26, '--disable-warning=ExperimentalWarning', script];
  const { stdout } = await execOk('flock', args, { timeout: 600_000 });
  return stdout.trim();
}
