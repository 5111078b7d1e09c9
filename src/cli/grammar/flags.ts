/** Flags by name, as ctr has them; ours are marked. */
import type { Flag } from './command.ts';

export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: 'root',
    type: 'text',
    value: 'DIR',
    env: 'HAWSER_ROOT',
    describe: 'the store (default /var/lib/hawser as root, else ~/.local/share/hawser)',
  },
  {
    name: 'namespace',
    alias: 'n',
    type: 'text',
    value: 'NAME',
    env: 'CONTAINERD_NAMESPACE',
    describe: 'namespace of images, content and snapshots (default "default")',
  },
  {
    name: 'address',
    alias: 'a',
    type: 'text',
    value: 'SOCKET',
    env: 'CONTAINERD_ADDRESS',
    describe: 'work inside the running containerd of this socket instead of a store of our own',
  },
  {
    name: 'content-sharing',
    type: 'text',
    value: 'shared|isolated',
    choices: ['shared', 'isolated'],
    env: 'HAWSER_CONTENT_SHARING',
    describe: 'isolated: fetch a blob even if another namespace has it (default shared)',
  },
  { name: 'timeout', type: 'text', value: 'DURATION', describe: 'give up after this long: 90s, 5m' },
  { name: 'debug', type: 'bool', describe: 'print stacks of errors' },
];

export const REGISTRY_FLAGS: readonly Flag[] = [
  { name: 'skip-verify', alias: 'k', type: 'bool', describe: 'do not check TLS certificates' },
  { name: 'plain-http', type: 'bool', describe: 'use plain HTTP' },
  {
    name: 'user',
    alias: 'u',
    type: 'text',
    value: 'USER[:PASSWORD]',
    describe: 'credentials for the registry of the reference; asks for a missing password',
  },
  { name: 'password-stdin', type: 'bool', describe: 'read the password of --user from standard input' },
  {
    name: 'refresh',
    type: 'text',
    value: 'TOKEN',
    describe: 'refresh token for the authorization server (not used with --user)',
  },
  {
    name: 'hosts-dir',
    type: 'text',
    value: 'DIR',
    describe: 'directory of hosts.toml files (default /etc/containerd/certs.d and /etc/docker/certs.d)',
  },
  {
    name: 'tlscacert',
    type: 'text',
    value: 'FILE',
    describe: "PEM bundle that replaces the system's root certificates",
  },
  { name: 'tlscert', type: 'text', value: 'FILE', describe: 'client certificate, PEM' },
  { name: 'tlskey', type: 'text', value: 'FILE', describe: 'client key, PEM' },
  {
    name: 'http-dump',
    type: 'bool',
    describe: 'print HTTP requests and responses (without secrets and bodies of blobs) on standard error',
  },
  { name: 'http-trace', type: 'bool', describe: 'print a line for each HTTP exchange on standard error' },
];

/** How long and how fast; every wait has a limit. */
export const NETWORK_FLAGS: readonly Flag[] = [
  {
    name: 'retry',
    type: 'count',
    value: 'N',
    describe: 'tries after a failure that may pass, in a row and without progress (default 10; 0: none)',
  },
  {
    name: 'retry-time',
    type: 'text',
    value: 'DURATION',
    describe:
      'give up after this long without progress, waits that a registry asks for included (default 5m)',
  },
  {
    name: 'timeout-connect',
    type: 'text',
    value: 'DURATION',
    describe: 'for a connection, TLS included (default 30s; 5s for a mirror before others)',
  },
  {
    name: 'timeout-response',
    type: 'text',
    value: 'DURATION',
    describe: 'from a request to the beginning of its answer (default 30s)',
  },
  {
    name: 'timeout-stall',
    type: 'text',
    value: 'DURATION',
    describe: 'between bytes of a body; then it is asked for again from there (default 60s)',
  },
  {
    name: 'min-speed',
    type: 'text',
    value: 'BYTES',
    describe: 'ask again for a body that brings less a second, over 30s (default 100; 0: any speed will do)',
  },
  {
    name: 'limit-rate',
    type: 'text',
    value: 'BYTES',
    describe: 'bytes a second for all downloads together: 500k, 10M',
  },
];

export const LABEL: Flag = {
  name: 'label',
  type: 'list',
  value: 'KEY[=VALUE]',
  describe: 'label for the image record; without a value it is "true" (may be repeated)',
};
export const PLATFORM: Flag = {
  name: 'platform',
  type: 'list',
  value: 'OS/ARCH[/VARIANT]',
  describe: "a platform to take instead of this machine's (may be repeated)",
};
export const SNAPSHOTTER: Flag = {
  name: 'snapshotter',
  type: 'text',
  value: 'NAME',
  env: 'CONTAINERD_SNAPSHOTTER',
  describe: 'snapshotter (default overlayfs)',
};
export const QUIET: Flag = { name: 'quiet', alias: 'q', type: 'bool', describe: 'print names only' };
export const CODEC: Flag = {
  name: 'codec',
  type: 'text',
  value: 'auto|native|portable',
  choices: ['auto', 'native', 'portable'],
  describe: "decompressors: the runtime's, or our portable ones",
};

export const JOBS: Flag = {
  name: 'jobs',
  type: 'count',
  value: 'N',
  describe: 'layers unpacked at once (default: the number of processors)',
};

export const PROGRESS: Flag = {
  name: 'progress',
  type: 'text',
  value: 'tty|plain|json|none',
  choices: ['tty', 'plain', 'json', 'none'],
  describe: 'display on standard output (default tty on a terminal, else plain)',
};

export const FOREIGN_URLS: Flag = {
  name: 'foreign-urls',
  type: 'bool',
  describe: 'fetch content from URLs that the image names first, without credentials',
};

/** What pull and fetch share. */
export const TRANSFER_FLAGS: readonly Flag[] = [
  ...REGISTRY_FLAGS,
  ...NETWORK_FLAGS,
  FOREIGN_URLS,
  LABEL,
  PLATFORM,
  { name: 'all-platforms', type: 'bool', describe: 'take all platforms' },
  { name: 'all-metadata', type: 'bool', describe: 'take manifests and configs of all platforms' },
  {
    name: 'skip-metadata',
    type: 'bool',
    describe: 'take no manifests and configs of other platforms (what happens without --all-metadata)',
  },
  { name: 'max-concurrent-downloads', type: 'count', value: 'N', describe: 'downloads at once (default 6)' },
  PROGRESS,
  {
    name: 'trace',
    type: 'text',
    value: 'FILE',
    describe: 'write where the time went, as a trace for ui.perfetto.dev or chrome://tracing',
  },
  {
    name: 'report',
    type: 'text',
    value: 'FILE.html',
    describe: 'write where the time went, as a page with a waterfall and the bottleneck named',
  },
];
