import { GLOBAL_FLAGS, JSON_DOCUMENT } from '../grammar/flags.ts';
import { SETTINGS } from '../grammar/settings.ts';
import { variablesOf } from '../grammar/variables.ts';
import { settingsFiles } from '../session/settings.ts';
import { type Command, command } from './command.ts';

const GLOBALS: ReadonlySet<string> = new Set(GLOBAL_FLAGS.map(({ name }) => name));
const FLAGS = [...SETTINGS.map(({ flag }) => flag).filter(({ name }) => !GLOBALS.has(name)), JSON_DOCUMENT];

export const settings: Command = command({
  path: ['settings'],
  args: [],
  summary: 'show the configuration: each setting, its value, and what gives it',
  details:
    'The command line goes before variables (--limit-rate: HAWSER_LIMIT_RATE; each setting has one), these before hawser.toml: --config FILE, else that of the\n' +
    'user (~/.config/hawser/hawser.toml) before that of the system (/etc/hawser/hawser.toml). The keys are listed here: root = "/srv/hawser",\n' +
    'and in tables [limits] and [policies]. A key that is unknown, or a bad value, is an error.\n' +
    'How much a store keeps (max-size, max-age, keep-last) is not set here, but in policy.toml in its root: hawser help gc.\n\n' +
    'Example:\n  hawser settings --limit-rate 10M',
  flags: FLAGS,
  run: async (context, input) => {
    const files = await settingsFiles(context.runtime, input, context);
    const rows = SETTINGS.map(({ key, flag }) => {
      const given = input.find(flag);
      // A value that cannot be read is an error here, too.
      input.get(flag);
      const [variable = ''] = variablesOf(flag);
      return { key, variable, value: given?.texts.join(','), from: given?.from };
    });
    const read = files.map(({ path, state }) => ({ path, state }));
    return { view: { type: 'settings', files: read, rows, json: input.get(JSON_DOCUMENT) } };
  },
});
