/**
 * Where the commands of the guides run, as they stand there: namespaces of their own, in which /etc is a copy, the directories that hawser
 * and its neighbours write to are empty, 10.0.0.5 is this machine, and so is every registry of the guides, with a certificate that is trusted.
 */
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { makeCerts } from '../registry/certs.ts';
import { type ExecResult, exec } from './exec.ts';
import { quickest } from './hawser.ts';
import { type Block, isNotRun } from './readme.ts';
import { deno, node26, repository } from './runtimes.ts';
import { scratch } from './scratch.ts';

export const WORLD_TOOLS: readonly string[] = [
  'unshare',
  'ip',
  'bash',
  'busybox',
  'jq',
  'skopeo',
  'umoci',
  'runc',
];

const HOSTS = ['registry-1.docker.io', 'ghcr.io', 'registry.example', 'registry.k8s.io'];
const EMPTY = ['/var/lib', '/run', '/usr/local/bin'];

/** What `W` is: the directory of the page. `background` starts a server and waits until it says that it serves. */
const PRELUDE = `
set -eE -o pipefail
trap 'code=$?; echo "$PAGE:$LINENO: exit status $code: $BASH_COMMAND" >&2' ERR
mount --make-rprivate /
mount --bind "$W/etc" /etc
for dir in ${EMPTY.join(' ')}; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
while read -r path socket; do
  [ -z "$path" ] || { mkdir -p "$(dirname "$path")"; touch "$path"; mount --bind "$socket" "$path"; }
done <<< "$SOCKETS"
ip link set lo up
ip addr add 10.0.0.5/32 dev lo
servers=
background() {
  : > "$W/says"
  "$@" > "$W/says" &
  servers="$servers $!"
  until [ -s "$W/says" ]; do kill -0 $!; sleep 0.05; done
}
end_servers() {
  [ -z "$servers" ] || kill $servers
  servers=
  wait
}
"$NODE" --disable-warning=ExperimentalWarning "$REPOSITORY/test/support/guide-registry.ts" "$W/cert" "$W/key" "$W/ready" &
registry=$!
until [ -e "$W/ready" ]; do kill -0 $registry; sleep 0.05; done
disown $registry
cd "$HOME"
`;

export interface Given {
  /** Their texts, in the directory that the commands begin in. */
  readonly files?: Readonly<Record<string, string>>;
  /** Programs of others, as shell scripts, for those that are not there. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Sockets, by the paths at which the page has them. */
  readonly sockets?: Readonly<Record<string, string>>;
}

/** Runs the blocks of a page in their order, in one shell that ends at the first failure. */
export async function runPage(
  page: string,
  blocks: readonly Block[],
  given: Given = {},
): Promise<ExecResult> {
  // Not in HAWSER_TEST_TMP: below /dev, Deno grants nothing less than everything.
  const dir = scratch('hawser-guide-', tmpdir());
  try {
    furnish(dir.path, given);
    writeFileSync(join(dir.path, 'prelude.sh'), PRELUDE);
    writeFileSync(join(dir.path, 'page.sh'), scriptOf(page, blocks));
    const sockets = Object.entries(given.sockets ?? {}).map(([path, socket]) => `${path} ${socket}`);
    const env = {
      ...given.env,
      PATH: `${join(dir.path, 'bin')}:${process.env.PATH}`,
      HOME: join(dir.path, 'home'),
      W: dir.path,
      PAGE: page,
      SOCKETS: sockets.join('\n'),
      NODE: node26,
      REPOSITORY: repository,
    };
    return await exec('unshare', [...ALONE, 'bash', join(dir.path, 'page.sh')], { env, timeout: 600_000 });
  } finally {
    await dir[Symbol.asyncDispose]();
  }
}

/** Whatever a page leaves running ends with its shell. */
const ALONE = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Makes `home/`, `bin/` and `etc/`, and the certificate of the registries. */
function furnish(dir: string, { files = {}, programs = {} }: Given): void {
  const at = (...names: string[]): string => join(dir, ...names);
  for (const name of ['home', 'bin']) mkdirSync(at(name));
  cpSync('/etc', at('etc'), { recursive: true, verbatimSymlinks: true });
  mkdirSync(at('etc/ssl/certs'), { recursive: true });
  const { ca, cert, key } = makeCerts(HOSTS.map((host) => `DNS:${host}`));
  writeFileSync(at('etc/ssl/certs/ca-certificates.crt'), ca);
  writeFileSync(at('etc/hosts'), `127.0.0.1 localhost ${HOSTS.join(' ')}\n`);
  writeFileSync(at('cert'), cert);
  writeFileSync(at('key'), key);
  const hawser = `exec ${quickest.command.map((word) => `'${word}'`).join(' ')} "$@"`;
  for (const [name, text] of Object.entries({ ...programs, hawser })) {
    writeFileSync(at('bin', name), `#!/bin/sh\n${text}\n`);
    chmodSync(at('bin', name), 0o755);
  }
  symlinkSync(node26, at('bin/node'));
  symlinkSync(deno, at('bin/deno'));
  for (const [name, text] of Object.entries(files)) writeFileSync(at('home', name), text);
}

/** Each line has the number that it has in the page; the first, which no block has, makes the world. */
function scriptOf(page: string, blocks: readonly Block[]): string {
  const lines = ['. "$W/prelude.sh"'];
  for (const block of blocks) {
    for (const [n, line] of block.lines.entries())
      lines[block.at - 1 + n] = isNotRun(page, line)
        ? ''
        : line.replace(/^hawser serve\b(?!.*--print-)/, 'background $&');
    lines[block.at - 1 + block.lines.length] = 'end_servers';
  }
  return `${Array.from(lines, (line) => line ?? '').join('\n')}\n`;
}
