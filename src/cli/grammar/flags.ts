/** The global flags, and flags of several commands. Names are ctr's where ctr has the flag. */
import {
  type Bool,
  bool,
  type Choice,
  type Count,
  choice,
  count,
  type Duration,
  duration,
  type List,
  list,
  type NamesOf,
  type Text,
  text,
} from './flag.ts';

export const ROOT: Text<'root'> = text({
  name: 'root',
  value: 'DIR',
  describe: 'the store (default /var/lib/hawser as root, else ~/.local/share/hawser)',
});
export const NAMESPACE: Text<'namespace'> = text({
  name: 'namespace',
  alias: 'n',
  value: 'NAME',
  env: 'CONTAINERD_NAMESPACE',
  describe: 'namespace of images, content and snapshots (default "default")',
});
export const ADDRESS: Text<'address'> = text({
  name: 'address',
  alias: 'a',
  value: 'SOCKET',
  env: 'CONTAINERD_ADDRESS',
  describe: 'work inside the running containerd of this socket instead of a store of our own',
});
export const CONTENT_SHARING: Choice<'content-sharing', 'shared' | 'isolated'> = choice({
  name: 'content-sharing',
  choices: ['shared', 'isolated'],
  describe: 'isolated: fetch a blob even if another namespace has it (default shared)',
});
export const TIMEOUT: Duration<'timeout'> = duration({
  name: 'timeout',
  value: 'DURATION',
  describe: 'give up after this long: 90s, 5m',
});
export const DEBUG: Bool<'debug'> = bool({ name: 'debug', describe: 'print stacks of errors' });

export const CONFIG: Text<'config'> = text({
  name: 'config',
  value: 'FILE',
  describe:
    'hawser.toml to read in place of ~/.config/hawser/hawser.toml and /etc/hawser/hawser.toml ("none": no file)',
});

export const GLOBAL_FLAGS: readonly [
  typeof ROOT,
  typeof NAMESPACE,
  typeof ADDRESS,
  typeof CONTENT_SHARING,
  typeof TIMEOUT,
  typeof CONFIG,
  typeof DEBUG,
] = [ROOT, NAMESPACE, ADDRESS, CONTENT_SHARING, TIMEOUT, CONFIG, DEBUG];
export type GlobalFlag = NamesOf<typeof GLOBAL_FLAGS>;

export const HELP: Bool<'help'> = bool({ name: 'help', alias: 'h', describe: 'show help' });
export const VERSION: Bool<'version'> = bool({
  name: 'version',
  alias: 'v',
  describe: 'print the version',
});
/** What can stand in every command line, and runs no command. */
export const PROGRAM_FLAGS: readonly [typeof HELP, typeof VERSION] = [HELP, VERSION];

export const LABEL: List<'label'> = list({
  name: 'label',
  value: 'KEY[=VALUE]',
  describe: 'label for the image record; without a value it is "true" (may be repeated)',
});
export const PLATFORM: List<'platform'> = list({
  name: 'platform',
  value: 'OS/ARCH[/VARIANT]',
  describe: "a platform to take instead of this machine's (may be repeated)",
});
export const SNAPSHOTTER: Text<'snapshotter'> = text({
  name: 'snapshotter',
  value: 'NAME',
  env: 'CONTAINERD_SNAPSHOTTER',
  describe: 'snapshotter (default overlayfs)',
});
export const REPLACE_ALL: Bool<'replace-all'> = bool({
  name: 'replace-all',
  describe: 'remove the labels that are not given',
});
/** After what a command removed, or would remove. */
export const SYNC: Bool<'sync'> = bool({
  name: 'sync',
  describe: 'accepted: what is unused is always collected before the command ends',
});
export const QUIET: Bool<'quiet'> = bool({ name: 'quiet', alias: 'q', describe: 'print names only' });
export const JOBS: Count<'jobs'> = count({
  name: 'jobs',
  value: 'N',
  describe: 'layers unpacked at once (default: the number of processors)',
});

/** How a transfer is shown. */
export type ProgressMode = 'tty' | 'plain' | 'json' | 'none';

export const PROGRESS: Choice<'progress', ProgressMode> = choice({
  name: 'progress',
  choices: ['tty', 'plain', 'json', 'none'],
  describe: 'display on standard output (default tty on a terminal, else plain)',
});
export const PRINT_CHAIN_ID: Bool<'print-chainid'> = bool({
  name: 'print-chainid',
  describe: 'print the chain ID of each unpacked platform',
});
export const JSON_DOCUMENT: Bool<'json'> = bool({ name: 'json', describe: 'print one JSON document' });
/** Of what shows a transfer. */
export const JSON_RESULT: Bool<'json'> = bool({
  name: 'json',
  describe: 'print how it ended as one JSON document, and no progress',
});
/** How a transfer is shown, and its result. */
export const DISPLAY_FLAGS: readonly [typeof PROGRESS, typeof QUIET, typeof JSON_RESULT] = [
  PROGRESS,
  QUIET,
  JSON_RESULT,
];
export type DisplayFlag = NamesOf<typeof DISPLAY_FLAGS>;
export const DRY_RUN: Bool<'dry-run'> = bool({
  name: 'dry-run',
  describe: 'say what would be removed, how much that frees and why the rest stays; remove nothing',
});
