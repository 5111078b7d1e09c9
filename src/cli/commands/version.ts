import { versionLine } from '../version.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const version: Command = command({
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [],
  run: async (context) => ({ view: lines(versionLine(context.runtime)) }),
});
