import type { Grammar } from '../grammar/command.ts';
import { completionScript, SHELLS } from '../grammar/completion/completion.ts';
import { badValue } from '../grammar/flag.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

/** `grammar` is asked when the command runs: the grammar has the command in it. */
export const completion = (grammar: () => Grammar): Command =>
  command({
    path: ['completion'],
    args: [`<${SHELLS.join('|')}>`],
    summary: 'print the completion for a shell',
    details:
      'For this shell alone: . <(hawser completion bash), or hawser completion fish | source. The beginning of each says where it belongs.',
    flags: [],
    run: async (_, input) => {
      const given = input.arg(0);
      const shell = SHELLS.find((one) => one === given);
      if (shell === undefined) throw badValue('the shell', given, `want ${SHELLS.join(', ')}`);
      return { view: lines(...completionScript(shell, grammar()).trimEnd().split('\n')) };
    },
  });
