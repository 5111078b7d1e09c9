import { print } from '../session/context.ts';
import { versionLine } from '../version.ts';
import { type Command, command } from './command.ts';

export const version: Command = command({
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [],
  run: async (context) => await print(context, `${versionLine(context.runtime)}\n`),
});
