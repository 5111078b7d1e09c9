/** Imports point downwards only (src/README.md, "Who may import whom"); a failure names the file and the import. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root: string = join(import.meta.dirname, '../..');
const src: string = join(root, 'src');

/** What the files of a folder may import: other folders (path prefixes under src), npm packages, and runtime modules. */
interface Rule {
  /** A folder with its last slash, or a file. */
  readonly layer: string;
  /** Besides the layer itself. */
  readonly own: readonly string[];
  readonly packages?: readonly string[];
  readonly node?: boolean;
}

/** What everything in core may import. */
const LOW: readonly string[] = [
  'core/errors.ts',
  'core/absolute-path.ts',
  'core/bounded-map.ts',
  'core/bytes.ts',
  'core/closest.ts',
  'core/duration.ts',
  'core/size.ts',
  'core/paths.ts',
  'core/ports/',
];

/** A type that names ports: whoever takes some of them from a runtime says so by `Pick<Runtime, ...>`. */
const RUNTIME = 'core/runtime.ts';

/** A runtime's own folder. */
const ownParts = (layer: string): Rule => ({
  layer,
  own: [...LOW, 'core/async/', 'platform/http/', 'platform/kernel/', 'platform/parts.ts'],
  node: true,
});

/** Folders of core by name, for short. */
const core = (...folders: string[]): string[] => [...LOW, ...folders.map((folder) => `core/${folder}/`)];

/** The folders of platform/ that hold what one runtime has of its own. */
function runtimeFolders(): string[] {
  const names = readdirSync(join(src, 'platform'));
  return names
    .filter((name) => existsSync(join(src, 'platform', name, 'parts.ts')))
    .map((name) => `platform/${name}/`);
}

/** What both faces of the library have. */
const WEB_PARTS = ['called', 'image-file', 'network-options', 'option-hints', 'questions', 'references'].map(
  (name) => `entry/${name}.ts`,
);

/** One row for each folder; the row with the longest matching prefix decides. */
const RULES: readonly Rule[] = [
  { layer: 'core/errors.ts', own: [] },
  { layer: 'core/bounded-map.ts', own: [] },
  { layer: 'core/bytes.ts', own: [] },
  { layer: 'core/closest.ts', own: [] },
  { layer: 'core/absolute-path.ts', own: LOW },
  { layer: 'core/duration.ts', own: LOW },
  { layer: 'core/size.ts', own: LOW },
  { layer: 'core/paths.ts', own: [] },
  { layer: 'core/ports/', own: LOW },
  { layer: 'core/async/', own: LOW },
  { layer: 'core/oci/', own: LOW },
  { layer: 'core/users/', own: [...LOW, RUNTIME] },
  { layer: 'core/reference/', own: core('oci') },
  { layer: 'core/platforms/', own: core('oci') },
  { layer: 'core/lists/', own: core('oci', 'reference'), packages: ['yaml'] },
  { layer: 'core/progress/', own: [...core('oci'), 'core/trust/voucher.ts'] },
  { layer: 'core/codec/', own: [...core('async'), '../wasm/'], packages: ['pako'] },
  { layer: 'core/content/', own: core('async', 'oci') },
  { layer: 'core/leases/', own: core('content') },
  { layer: 'core/gc/', own: core('content') },
  { layer: 'core/images/', own: core('async', 'content', 'oci', 'platforms', 'reference') },
  { layer: 'core/filter/', own: core('content', 'images') },
  { layer: 'core/trees/', own: LOW },
  { layer: 'core/archive/', own: core('trees', 'users') },
  { layer: 'core/snapshots/', own: core('archive', 'content') },
  { layer: 'core/bundle/', own: core('oci', 'users') },
  {
    layer: 'core/registry/',
    own: [...core('async', 'codec', 'oci', 'progress', 'reference'), 'core/trust/evidence.ts', RUNTIME],
    packages: ['ipaddr.js'],
  },
  {
    layer: 'core/registry/hosts-dir/',
    own: core('async', 'oci', 'reference', 'registry'),
    packages: ['smol-toml'],
  },
  {
    layer: 'core/trust/',
    own: [...core('async', 'images', 'oci', 'platforms', 'reference'), 'core/users/file-guard.ts'],
  },
  { layer: 'core/trust/evidence.ts', own: core('oci') },
  { layer: 'core/trust/voucher.ts', own: core('oci') },
  {
    layer: 'core/verifiers/',
    own: [...core('trust', 'users'), 'core/registry/redact.ts', RUNTIME],
  },
  { layer: 'core/download/', own: core('async', 'content', 'oci', 'progress', 'registry') },
  {
    layer: 'core/layers/',
    own: [
      ...core('archive', 'async', 'codec', 'content', 'images', 'leases', 'oci', 'progress', 'snapshots'),
      ...['core/trees/', 'core/users/', RUNTIME],
    ],
  },
  {
    layer: 'core/carry/',
    own: [
      ...core(
        'archive',
        'async',
        'codec',
        'content',
        'download',
        'images',
        'layers',
        'oci',
        'platforms',
        'progress',
      ),
      ...['core/reference/', 'core/registry/registry.ts', 'core/registry/referrers-tag.ts'],
      ...['core/trust/evidence.ts', RUNTIME],
    ],
  },
  {
    layer: 'core/files/',
    own: [...core('archive', 'async', 'codec', 'layers', 'oci', 'trees', 'users'), RUNTIME],
  },
  { layer: 'core/output/', own: [...core('async', 'layers', 'progress', 'trees'), RUNTIME] },
  { layer: 'core/runtime.ts', own: core('layers') },
  {
    layer: 'core/backend.ts',
    own: core('content', 'gc', 'images', 'layers', 'leases', 'oci', 'snapshots', 'trust'),
  },
  {
    layer: 'core/verify/',
    own: [...core('async', 'content', 'images', 'layers', 'oci', 'platforms', 'trees'), 'core/backend.ts'],
  },
  {
    layer: 'core/serve/',
    own: core('async', 'content', 'images', 'oci', 'reference', 'registry'),
    packages: ['bcryptjs'],
  },
  {
    layer: 'core/push/',
    own: core('async', 'content', 'images', 'oci', 'progress', 'reference', 'registry'),
  },
  { layer: 'core/verbs/', own: ['core/'] },
  { layer: 'core/verbs/policy-file.ts', own: LOW, packages: ['smol-toml'] },
  { layer: 'backends/local/', own: ['core/'] },
  { layer: 'backends/open.ts', own: ['backends/'] },
  { layer: 'platform/kernel/', own: [...core('async'), 'core/users/process-status.ts'], node: true },
  {
    layer: 'backends/containerd/',
    own: ['core/'],
    packages: ['@grpc/grpc-js', 'protobufjs/light.js', 'smol-toml'],
  },
  {
    layer: 'platform/codecs/',
    own: [...core('codec'), 'platform/kernel/libc.ts', 'platform/kernel/node-ffi.ts'],
    node: true,
  },
  {
    layer: 'platform/http/',
    own: [...core('async'), 'platform/kernel/deno-permission.ts'],
    packages: ['undici'],
    node: true,
  },
  { layer: 'platform/files/', own: [...core('trees'), 'platform/kernel/'], node: true },
  {
    layer: 'platform/threads/',
    own: [...core('archive', 'async', 'layers'), 'core/codec/windows.ts', RUNTIME, 'platform/kernel/'],
    node: true,
  },
  {
    layer: 'platform/process/',
    own: [
      ...core('async'),
      'core/codec/windows.ts',
      ...['platform/codecs/', 'platform/http/server.ts'],
      ...['platform/kernel/deno-permission.ts', 'platform/parts.ts'],
    ],
    node: true,
  },
  {
    layer: 'platform/web/',
    own: [
      ...core('async', 'codec'),
      ...['fetch-codes', 'http-failure', 'http-limits', 'origin-gates'].map(
        (name) => `platform/http/${name}.ts`,
      ),
    ],
    packages: ['@noble/hashes/sha2.js'],
  },
  { layer: 'platform/trust/', own: core('oci'), node: true },
  {
    layer: 'platform/trust/libraries.ts',
    own: [],
    packages: ['@sigstore/bundle', '@sigstore/core', '@sigstore/protobuf-specs', '@sigstore/verify'],
  },
  { layer: 'platform/parts.ts', own: [...LOW, 'platform/kernel/'] },
  {
    layer: 'platform/compose.ts',
    own: [
      ...[...LOW, RUNTIME, 'platform/parts.ts'],
      ...['codecs', 'files', 'kernel', 'process', 'threads', 'trust'].map((name) => `platform/${name}/`),
    ],
  },
  ...runtimeFolders().map(ownParts),
  { layer: 'cli/grammar/', own: core('layers'), packages: ['yargs', 'yargs/helpers'] },
  { layer: 'cli/views/', own: ['core/'] },
  { layer: 'cli/render/', own: ['core/', 'cli/grammar/', 'cli/views/'] },
  {
    layer: 'cli/session/',
    own: ['core/', 'backends/', 'cli/grammar/', 'cli/render/', 'cli/views/', 'cli/version.ts'],
  },
  {
    layer: 'cli/session/settings.ts',
    own: ['core/', 'cli/grammar/'],
    packages: ['smol-toml'],
  },
  {
    layer: 'cli/commands/',
    own: ['core/', 'cli/grammar/', 'cli/session/', 'cli/views/', 'cli/version.ts'],
  },
  { layer: 'cli/run.ts', own: ['core/', 'cli/'] },
  { layer: 'cli/main.ts', own: ['core/', 'backends/open.ts', 'cli/'] },
  { layer: 'cli/version.ts', own: ['core/', '../package.json'] },
  { layer: 'entry/', own: ['core/', 'backends/', 'platform/', 'cli/', 'entry/'], node: true },
  { layer: 'entry/web.ts', own: ['core/', 'platform/web/', 'platform/process/clock.ts', ...WEB_PARTS] },
  { layer: 'web.ts', own: ['core/', 'entry/web.ts', ...WEB_PARTS] },
  { layer: 'mod.ts', own: ['core/', 'backends/', 'entry/'] },
];

function sources(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.d.ts'),
  );
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((m) => m[1] ?? m[2] ?? m[3] ?? '');
}

function ruleFor(file: string): Rule | undefined {
  return RULES.filter((rule) => file.startsWith(rule.layer)).sort(
    (a, b) => b.layer.length - a.layer.length,
  )[0];
}

function complaint(file: string, spec: string, rule: Rule): string | undefined {
  if (spec.startsWith('node:'))
    return rule.node ? undefined : `${file} imports ${spec}: no runtime modules in ${rule.layer}`;
  if (!spec.startsWith('.'))
    return (rule.packages ?? []).some((name) => spec === name || spec.startsWith(`${name}/lib/`))
      ? undefined
      : `${file} imports the package ${spec}`;
  if (!/\.(ts|json)$/.test(spec)) return `${file} imports ${spec}: relative imports carry their extension`;
  const target = relative(src, resolve(src, dirname(file), spec));
  return [rule.layer, ...rule.own].some((own) => target.startsWith(own))
    ? undefined
    : `${file} imports ${target}: not below ${rule.layer}`;
}

test('bytes are copied by new Uint8Array: the slice of a Buffer is a view', () => {
  const found = sources(src).filter((file) => /\.slice\(\)/.test(readFileSync(join(src, file), 'utf8')));
  assert.deepEqual(found, [], 'arrays: [...list]');
});

test('every import is one that the table allows', () => {
  const found: string[] = [];
  const files = sources(src);
  assert.ok(files.length > 40, 'the sources were not found');
  for (const file of files) {
    const rule = ruleFor(file);
    if (!rule) found.push(`${file} is in no layer`);
    else
      for (const spec of importsOf(readFileSync(join(src, file), 'utf8')))
        found.push(complaint(file, spec, rule) ?? '');
  }
  assert.deepEqual(
    found.filter((one) => one !== ''),
    [],
  );
});

/** Lines of a file of src. */
const MAX_LINES = 300;

test('every file of src has 300 lines at most', () => {
  const lengths = sources(src).map((file) => ({
    file,
    lines: readFileSync(join(src, file), 'utf8').trimEnd().split('\n').length,
  }));
  const long = lengths.filter(({ lines }) => lines > MAX_LINES).map(({ file, lines }) => `${file}: ${lines}`);
  assert.deepEqual(long.sort(), []);
});

test('nothing imports an entry, but the library', () => {
  const guilty = sources(src).filter((file) => {
    if (file.startsWith('entry/') || file === 'mod.ts' || file === 'web.ts') return false;
    return importsOf(readFileSync(join(src, file), 'utf8')).some((spec) => spec.includes('/entry/'));
  });
  assert.deepEqual(guilty, []);
});

test('gRPC is loaded late: what is outside of its backend imports that by import() only, or its types', () => {
  const others = sources(src).filter((file) => !file.startsWith('backends/containerd/'));
  const [late, early]: [string[], string[]] = [[], []];
  for (const file of others) {
    const text = readFileSync(join(src, file), 'utf8');
    if (/\bimport\('[^']*(?:backends|\.)\/containerd\//.test(text)) late.push(file);
    if (/\n(?:import|export) (?!type )[^;]*?from '[^']*(?:backends|\.)\/containerd\//.test(`\n${text}`))
      early.push(file);
  }
  assert.deepEqual([late, early], [['backends/open.ts'], []]);
});

test('the rule that forbids runtime modules in the core would notice one', () => {
  const rule = ruleFor('core/verbs/pull.ts');
  assert.ok(rule);
  assert.match(complaint('core/verbs/pull.ts', 'node:fs', rule) ?? '', /no runtime modules/);
  assert.match(complaint('core/verbs/pull.ts', '../../cli/main.ts', rule) ?? '', /not below core/);
});

test('every row of the table matches a file, and every folder below src is named by the map', () => {
  const files = sources(src);
  const dead = RULES.filter((rule) => !files.some((file) => ruleFor(file) === rule)).map(
    (rule) => rule.layer,
  );
  assert.deepEqual(dead, [], 'rows that match no file');
  const map = readFileSync(join(src, 'README.md'), 'utf8');
  const folders = new Set(files.map((file) => dirname(file)).filter((folder) => folder !== '.'));
  const unnamed = [...folders].filter((folder) => !map.includes(`${folder.split('/').at(-1)}/`));
  assert.deepEqual(unnamed.sort(), [], 'folders that src/README.md does not name');
});

/** Files to the files that they import, types included. */
function graph(dir: string): Map<string, string[]> {
  const files = new Set(sources(dir));
  const targets = (file: string) =>
    importsOf(readFileSync(join(dir, file), 'utf8'))
      .filter((spec) => spec.startsWith('.'))
      .map((spec) => relative(dir, resolve(dir, dirname(file), spec)))
      .filter((target) => files.has(target));
  return new Map([...files].map((file) => [file, targets(file)]));
}

/** The files that can be reached from themselves. */
function inCircles(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const reaches = (start: string): boolean => {
    const seen = new Set<string>();
    const open = [...(edges.get(start) ?? [])];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === start) return true;
      if (!seen.has(at)) open.push(...(edges.get(at) ?? []));
      seen.add(at);
    }
    return false;
  };
  return [...edges.keys()].filter(reaches).sort();
}

for (const dir of ['src', 'scripts']) {
  test(`no file of ${dir} imports itself by way of others, types included`, () => {
    const circles = inCircles(graph(join(root, dir)));
    assert.deepEqual(circles, []);
  });
}

test('what hawser/web loads has Web APIs alone: no module of a runtime, by whatever way', () => {
  const edges = graph(src);
  const reached = new Set(['web.ts']);
  for (const file of reached) for (const target of edges.get(file) ?? []) reached.add(target);
  assert.ok(reached.has('platform/web/transport.ts') && reached.has('core/verbs/files.ts'));
  const guilty = [...reached].filter((file) => {
    const text = readFileSync(join(src, file), 'utf8');
    return (
      importsOf(text).some((spec) => spec.startsWith('node:')) || /\bprocess\.|\bBuffer\b/.test(code(text))
    );
  });
  assert.deepEqual(guilty, []);
});

/** Without comments. */
function code(text: string): string {
  return text.replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '');
}

test('a circle would be noticed', () => {
  const edges = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  assert.deepEqual(inCircles(edges), ['b', 'c']);
});

test('core asks no clock but the port: nothing that a test cannot turn', () => {
  const guilty = sources(join(src, 'core')).filter((file) =>
    /\b(?:performance\.now|Date\.now|new Date)\(\)/.test(readFileSync(join(src, 'core', file), 'utf8')),
  );
  assert.deepEqual(guilty, []);
});

test('a timer is started by startTimer: one that is longer than the runtime takes would fire at once', () => {
  const guilty = sources(src).filter(
    (file) =>
      file !== 'core/async/timer.ts' &&
      /\bsetTimeout\((?!resolve\))/.test(readFileSync(join(src, file), 'utf8')),
  );
  assert.deepEqual(guilty, []);
});

test('what Node 22 runs has no `using` declarations, which it cannot parse', () => {
  const folders = [
    'src',
    'test/unit',
    'test/conformance',
    'test/suites',
    'test/support',
    'test/registry',
    'test/fuzz',
  ];
  const guilty = folders.flatMap((folder) =>
    sources(join(root, folder))
      .filter((file) => /^\s*(?:await )?using /m.test(readFileSync(join(root, folder, file), 'utf8')))
      .map((file) => `${folder}/${file}`),
  );
  assert.deepEqual(guilty, []);
});
