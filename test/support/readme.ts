/**
 * Commands as README.md and the guides in docs/ have them. Each line of a shell block is run: by integration/guides.test.ts, page by page
 * in the order of the lines; or by the test that a row of ELSEWHERE names; or a row of NOT_RUN says why not. unit/guides.test.ts holds that.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './runtimes.ts';

/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  /** The nearest heading above. */
  readonly heading: string;
  /** The line of the page, from 1, that the first of `lines` is. */
  readonly at: number;
  readonly lines: readonly string[];
}

/** `README.md`, `docs/ci.md`, in alphabetical order. */
export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync(join(repository, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
];

interface Elsewhere {
  readonly page: string;
  /** Not given: all blocks of the page. */
  readonly heading?: string;
  /** Below `test/`. */
  readonly test: string;
}

/** Shell blocks that a test of their own runs. */
export const ELSEWHERE: readonly Elsewhere[] = [
  { page: 'README.md', heading: 'Install', test: 'integration/install.test.ts' },
  ...['From the executable to a container', 'Without a container runtime', 'In a root that has nothing'].map(
    (heading) => ({ page: 'docs/install.md', heading, test: 'integration/install.test.ts' }),
  ),
  { page: 'docs/library.md', heading: 'Bundle a program', test: 'integration/package.test.ts' },
  { page: 'docs/nodes.md', test: 'integration/node-guide.test.ts' },
  { page: 'docs/trust.md', test: 'integration/trust-guide.test.ts' },
];

interface NotRun {
  readonly page: string;
  /** As it stands there. */
  readonly line: string;
  readonly reason: string;
}

const not = (page: string, reason: string, ...lines: readonly string[]): NotRun[] =>
  lines.map((line) => ({ page, line, reason }));

export const NOT_RUN: readonly NotRun[] = [
  ...not(
    'README.md',
    'the place is the reader’s; install.test.ts begins with the files',
    'curl -fsSLO https://HOST/PATH/SHA256SUMS -O https://HOST/PATH/hawser-linux-x64.gz',
  ),
  ...not(
    'README.md',
    'they install, and run this test',
    'npm start    # installs what it needs, starts a registry with a sample image, pulls it, and shows what came of it',
    'npm test     # unit and conformance tests on Node 26, Node 22 and Deno, then the integration tests',
  ),
  ...not(
    'docs/files.md',
    'takes a user with a range of ids; rootless.test.ts makes one',
    'unshare --map-root-user --map-auto --mount hawser --root ~/.local/share/hawser pull alpine:3.20',
  ),
  ...not(
    'docs/install.md',
    'takes a release; release.test.ts and package.test.ts run these',
    'sh install.sh --to "$HOME/.local/bin"          # from the directory that install.sh is in',
    'sh install.sh --from https://HOST/PATH         # over the network, with curl or wget',
    'npm install ./hawser-VERSION.tgz                     # npx hawser, and a library',
    'skopeo copy --all oci-archive:hawser-VERSION-oci.tar docker://REGISTRY/hawser:VERSION',
  ),
  ...not(
    'docs/nodes.md',
    'crictl is no package of Debian; cri.test.ts asks what crictl asks',
    'crictl images --digests',
  ),
  ...not(
    'docs/nodes.md',
    'node-guide.test.ts serves at an address of its own',
    'hawser serve --listen 10.0.0.5:5000 --plain-http --max-connections 1000',
  ),
  ...not(
    'docs/trust.md',
    'trust-guide.test.ts signs where cosign is, and elsewhere takes what cosign has signed before',
    'cosign generate-key-pair',
    'cosign sign --yes --key cosign.key --tlog-upload=false --use-signing-config=false registry.example/team/app@"$DIGEST"',
  ),
  ...not(
    'docs/runtimes.md',
    'a sandbox that reads no hosts.toml finds no registry of tests; sandbox.test.ts and permissions.test.ts run these',
    'deno run --allow-net=ghcr.io --allow-env --allow-sys=uid --allow-read="$PWD/store" --allow-write="$PWD/store" hawser.mjs \\',
    '  --root "$PWD/store" fetch ghcr.io/org/app:1.2',
  ),
];

export function textOf(page: string): string {
  return readFileSync(join(repository, page), 'utf8');
}

/** All fenced blocks. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: { language: string; lines: string[]; at: number } | undefined;
  for (const [index, line] of textOf(page).split('\n').entries()) {
    if (open !== undefined) {
      if (line !== '```') open.lines.push(line);
      else {
        blocks.push({ ...open, heading });
        open = undefined;
      }
      continue;
    }
    const [, title] = /^#+ (.*)$/.exec(line) ?? [];
    heading = title ?? heading;
    const [, language] = /^```(.*)$/.exec(line) ?? [];
    if (language !== undefined) open = { language, lines: [], at: index + 2 };
  }
  if (open !== undefined) throw new Error(`${page}: a block without end`);
  return blocks;
}

/** The shell blocks of a page that `test` runs; the `script` of a CI job is one. */
export function shellBlocks(page: string, test: string): Block[] {
  return blocksOf(page)
    .map((block) => (block.language === 'yaml' ? scriptOf(block) : block))
    .filter((block) => block.language === 'sh' && testOf(page, block) === test);
}

/** A block of YAML with a list `script:` as commands, each in its line. */
function scriptOf(block: Block): Block {
  const from = block.lines.indexOf('  script:');
  if (from < 0) return block;
  const lines = block.lines.map((line, n) => (n > from ? line.replace(/^ {4}- /, '') : ''));
  return { ...block, language: 'sh', lines };
}

export const GUIDES_TEST = 'integration/guides.test.ts';

/** The test that runs the block. */
function testOf(page: string, { heading }: Block): string {
  const row = ELSEWHERE.find(
    (one) => one.page === page && (one.heading === undefined || one.heading === heading),
  );
  return row?.test ?? GUIDES_TEST;
}

export function isNotRun(page: string, line: string): boolean {
  return NOT_RUN.some((row) => row.page === page && row.line === line);
}

/** The shell blocks of a page for the test that ELSEWHERE names: at its end none is to be left. */
export class Commands {
  readonly #page: string;
  readonly #blocks: readonly Block[];
  readonly #taken = new Set<string>();

  constructor(page: string, test: string) {
    this.#page = page;
    this.#blocks = shellBlocks(page, test);
    if (this.#blocks.length === 0) throw new Error(`${page} has no commands for ${test}`);
  }

  /** The lines below a heading; with `which` some of them. The test is to run them. */
  take(heading: string, which: (line: string) => boolean = () => true): string[] {
    const lines = this.#blocks
      .filter((block) => block.heading === heading)
      .flatMap((block) => block.lines)
      .filter(which);
    if (lines.length === 0) throw new Error(`${this.#page} has no such commands below ${heading}`);
    for (const line of lines) this.#taken.add(line);
    return lines;
  }

  /** Lines that were not taken, and are not in NOT_RUN. */
  left(): string[] {
    return this.#blocks
      .flatMap(({ lines }) => lines)
      .filter((line) => isCommand(line) && !this.#taken.has(line) && !isNotRun(this.#page, line));
  }
}

/** No comment, and not empty. */
export function isCommand(line: string): boolean {
  return !/^\s*(?:#.*)?$/.test(line);
}
