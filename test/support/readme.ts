/** Commands as README.md has them, for tests that run them verbatim. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './runtimes.ts';

/** The lines of the shell block that follows the line `line` of README.md. */
export function commandsAfter(line: string): string[] {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const [, rest] = readme.split(`\n${line}\n\n\`\`\`sh\n`);
  const block = rest?.split('\n```')[0];
  if (block === undefined) throw new Error(`README.md has no commands after ${JSON.stringify(line)}`);
  return block.split('\n');
}
