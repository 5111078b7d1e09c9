import type { Command } from '../command.ts';
import { print } from '../context.ts';
import { versionLine } from '../version.ts';

export const version: Command = {
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [],
  run: async (context) => await print(context, `${versionLine(context.runtime)}\n`),
};
