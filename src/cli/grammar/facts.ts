/** What help and the manual page tell beside commands and flags: topics, examples, exit codes, variables, files. */

export type Fact = readonly [name: string, about: string];

/** The words that alone name a command, by what they are for; a test holds that each is in one of them. */
export const TOPICS: readonly (readonly [title: string, words: readonly string[]])[] = [
  ['Pull and unpack', ['pull', 'fetch', 'unpack', 'bundle', 'mount', 'unmount', 'bootstrap']],
  [
    'Ask a registry',
    ['resolve', 'digest', 'manifest', 'config', 'tags', 'catalog', 'referrers', 'verify', 'lock'],
  ],
  ['Look into an image', ['inspect', 'cat', 'cp']],
  ['Carry images', ['export', 'import', 'push', 'copy', 'serve', 'inventory']],
  ['Look after the store', ['tag', 'rmi', 'gc', 'df', 'recover']],
  ['hawser itself', ['login', 'logout', 'settings', 'completion', 'version']],
];

export const EXAMPLES: readonly Fact[] = [
  ['hawser pull alpine:3.20', 'fetch, verify and unpack an image'],
  ['hawser unpack alpine:3.20 --rootfs ./rootfs', 'its files in a directory, without root'],
  ['hawser resolve --explain ghcr.io/org/app:1.2', 'which hosts, whose credentials, why it failed'],
  ['hawser cat ghcr.io/org/app:1.2 /etc/os-release', 'a file of an image, without a pull'],
  ['hawser pull -f images.txt --progress plain', 'a list of images, for the log of a CI job'],
  ["hawser images ls --json | jq -r '.images[].name'", 'for programs: docs/json.md'],
];

export const EXIT_CODES: readonly Fact[] = [
  ['0', 'success'],
  ['1', 'an error; standard error says what failed and what to do about it'],
  ['2', 'wrong usage, or a bad configuration'],
  ['3', 'lock --check: tags have moved since they were locked'],
  ['4', 'import, bootstrap: an archive builds upon what is not here'],
  ['141', 'the reader of the output has gone away'],
  ['128+N', 'ended by signal N: 130 by an interrupt, 143 by SIGTERM'],
];

/** Those that no flag stands for. */
export const ENVIRONMENT: readonly Fact[] = [
  [
    'HAWSER_SETTING',
    'the value of a setting (hawser settings lists them): HAWSER_LIMIT_RATE of --limit-rate; 1 and 0 for yes and no',
  ],
  [
    'HAWSER_CONFIG, HAWSER_TIMEOUT, HAWSER_DEBUG, HAWSER_HTTP_TRACE, HAWSER_HTTP_DUMP',
    'the values of these flags; other flags have no variable',
  ],
  ['CONTAINERD_ADDRESS, CONTAINERD_NAMESPACE, CONTAINERD_SNAPSHOTTER', 'the same as of ctr, after ours'],
  ['XDG_CONFIG_HOME, XDG_DATA_HOME', 'where hawser.toml and the store of a user are: their directory hawser'],
  [
    'NO_COLOR, CLICOLOR_FORCE, CLICOLOR=0, TERM=dumb',
    'no colour, colour in any case; no table, as for --progress plain',
  ],
  ['HTTPS_PROXY, HTTP_PROXY, NO_PROXY', 'proxies, also in lower case; HTTP and SOCKS5'],
  ['SSL_CERT_FILE, SSL_CERT_DIR', "root certificates in place of, and beside, the system's"],
  ['DOCKER_AUTH_CONFIG', 'credentials, as JSON in the form of config.json'],
  ['REGISTRY_AUTH_FILE, DOCKER_CONFIG', 'where credentials are: a file, a directory with config.json'],
];

export const FILES: readonly Fact[] = [
  [
    '~/.config/hawser/hawser.toml, /etc/hawser/hawser.toml',
    'settings of a user, and of the system: hawser settings',
  ],
  [
    '/var/lib/hawser, ~/.local/share/hawser',
    'the store of root, and of a user; content/ in it is an OCI image layout',
  ],
  ['/etc/containerd/certs.d, /etc/docker/certs.d', 'hosts, mirrors and certificates of registries'],
  ['~/.docker/config.json, ~/.config/containers/auth.json', 'credentials of docker login and podman login'],
];
