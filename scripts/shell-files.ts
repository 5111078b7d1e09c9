/** The files beside the program that shells and man(1) read, made of the grammar of the command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GRAMMAR } from '../src/cli/commands/index.ts';
import { completionScript } from '../src/cli/grammar/completion/completion.ts';
import { manPage } from './release/man-page.ts';

/** Makes `dir`: hawser.1 and the completions, by the names that bash, zsh and fish look for. */
export function writeShellFiles(dir: string, version: string): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'hawser.1'), manPage(GRAMMAR, version));
  writeFileSync(join(dir, 'hawser.bash'), completionScript('bash', GRAMMAR));
  writeFileSync(join(dir, '_hawser'), completionScript('zsh', GRAMMAR));
  writeFileSync(join(dir, 'hawser.fish'), completionScript('fish', GRAMMAR));
}
