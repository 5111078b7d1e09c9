import type { Command } from '../grammar/command.ts';
import { print } from '../session/context.ts';
import { versionLine } from '../version.ts';

export const version: Command = {
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [],
  run: async (context) => await print(context, `${versionLine(context.runtime)}\n`),
};
