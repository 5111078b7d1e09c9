/** Completions for shells, made of the grammar. */
import type { Grammar } from '../command.ts';
import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { typed } from './typed.ts';
import { zshCompletion } from './zsh.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** A file that the shell reads; where it belongs is said at its top. */
export function completionScript(shell: Shell, grammar: Grammar): string {
  const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };
  return scripts[shell](typed(grammar));
}
