/** Go templates of docker, podman and nerdctl (`--format '{{.Size}}'`): the jq that says the same of a JSON document of ours. */
import { type CommandSpec, directWord } from './command.ts';
import { readFlag } from './flag.ts';

/** Docker's fields, by the command that prints them, as jq paths. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'images list': {
    Repository: '.name',
    Name: '.name',
    Names: '.name',
    Tag: '.name',
    Digest: '.target.digest',
    ID: '.target.digest',
    Size: '.size',
    CreatedAt: '.createdAt',
    CreatedSince: '.createdAt',
    Labels: '.labels',
  },
};

/** The member that has the rows. */
const ROWS: Readonly<Record<string, string>> = { 'images list': '.images[]' };

/** Docker's fields of an image, in the config of the image. */
const OF_CONFIG: Readonly<Record<string, string>> = {
  Architecture: '.architecture',
  Os: '.os',
  Variant: '.variant',
  Created: '.created',
  Author: '.author',
  RootFS: '.rootfs',
};

/** The hint for a template in place of `--json`; undefined where none was typed. `args`: the whole command line; `words` without flags. */
export function templateHint(
  command: CommandSpec,
  args: readonly string[],
  words: readonly string[],
): string | undefined {
  const template = templateOf(args);
  if (template === undefined || !command.flags.some(({ name }) => name === 'json')) return undefined;
  const path = command.path.join(' ');
  const typed = words[0] === directWord(command) ? 1 : command.path.length;
  const ref = words.slice(typed).find((word) => !word.includes('{{'));
  const fields = [...template.matchAll(/\{\{[^{}]*?\.([\w.]+)[^{}]*\}\}/g)].map(([, field]) => field ?? '');
  if (path === 'images inspect') return `hawser has no templates: ${ofImage(ref ?? 'REF', fields)}`;
  const name = ['hawser', directWord(command) ?? path, ...(ref === undefined ? [] : [ref])].join(' ');
  return `hawser has no templates: ${name} --json | jq ${filterOf(path, fields)}`;
}

function templateOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => ['format', 'f'].includes(readFlag(arg)?.name ?? ''));
  const text = readFlag(args[at] ?? '')?.value ?? args[at + 1] ?? '';
  return at >= 0 && text.includes('{{') ? text : undefined;
}

/** `hawser config REF | jq .config.Cmd`; what is of the record rather than of the config by `inspect`. */
function ofImage(ref: string, fields: readonly string[]): string {
  const paths = fields.map((field) =>
    field.startsWith('Config.') ? `.config.${field.slice(7)}` : OF_CONFIG[field],
  );
  const known = paths.filter((path) => path !== undefined);
  if (known.length > 0) return `hawser config ${ref} | jq '${known.join(', ')}'`;
  return `hawser inspect --json ${ref} | jq .target.digest, or hawser config ${ref} | jq .config`;
}

function filterOf(path: string, fields: readonly string[]): string {
  const known = fields.flatMap((field) => FIELDS[path]?.[field] ?? []);
  const rows = ROWS[path];
  if (rows === undefined || known.length === 0) return '.';
  const row = known.length === 1 ? known[0] : `[${known.join(', ')}] | @tsv`;
  return `-r '${rows} | ${row}'`;
}
