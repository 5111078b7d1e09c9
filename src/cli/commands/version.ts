import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { VERSION, versionLine } from '../version.ts';
import { type Command, command } from './command.ts';

export const version: Command = command({
  path: ['version'],
  args: [],
  summary: 'print the version',
  flags: [JSON_DOCUMENT],
  run: async ({ runtime }, input) => {
    const { runtime: name, runtimeVersion, os, arch } = runtime.host;
    const members = { version: VERSION, runtime: name, runtimeVersion, os, arch };
    const lines = [versionLine(runtime)];
    return { view: { type: 'answer', of: 'version', lines, members, json: input.get(JSON_DOCUMENT) } };
  },
});
