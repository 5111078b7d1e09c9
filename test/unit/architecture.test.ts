/** Imports point downwards only (src/README.md, "Who may import whom"); a failure names the file and the import. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const root: string = join(import.meta.dirname, '../..');
const src: string = join(root, 'src');

/** What each layer may import: other layers (path prefixes under src), npm packages, and runtime modules. */
interface Rule {
  readonly layer: string;
  readonly own: readonly string[];
  readonly packages: readonly string[];
  readonly node: boolean;
}

const CORE_LOW: readonly string[] = ['core/errors.ts', 'core/bytes.ts', 'core/ports/'];

/** The most specific layer (longest prefix) of a file decides. */
const RULES: readonly Rule[] = [
  { layer: 'core/errors.ts', own: [], packages: [], node: false },
  { layer: 'core/bytes.ts', own: [], packages: [], node: false },
  { layer: 'core/ports/', own: CORE_LOW, packages: [], node: false },
  { layer: 'core/oci/', own: [...CORE_LOW, 'core/oci/'], packages: [], node: false },
  { layer: 'core/reference/', own: [...CORE_LOW, 'core/oci/', 'core/reference/'], packages: [], node: false },
  { layer: 'core/platforms/', own: [...CORE_LOW, 'core/oci/', 'core/platforms/'], packages: [], node: false },
  { layer: 'core/async/', own: [...CORE_LOW, 'core/async/'], packages: [], node: false },
  { layer: 'core/stream/', own: [...CORE_LOW, 'core/async/', 'core/stream/'], packages: [], node: false },
  {
    layer: 'core/codec/',
    own: [...CORE_LOW, 'core/codec/', 'core/stream/', '../wasm/'],
    packages: ['pako'],
    node: false,
  },
  { layer: 'core/users/', own: [...CORE_LOW, 'core/users/'], packages: [], node: false },
  { layer: 'core/archive/', own: [...CORE_LOW, 'core/users/', 'core/archive/'], packages: [], node: false },
  {
    layer: 'core/snapshots/',
    own: [...CORE_LOW, 'core/content/roles.ts', 'core/snapshots/'],
    packages: [],
    node: false,
  },
  { layer: 'core/registry/hosts-dir/', own: ['core/'], packages: ['smol-toml'], node: false },
  { layer: 'core/', own: ['core/'], packages: [], node: false },
  { layer: 'backends/local/', own: ['core/', 'backends/local/'], packages: [], node: false },
  {
    layer: 'backends/containerd/',
    own: ['core/', 'backends/containerd/'],
    packages: ['@grpc/grpc-js', 'protobufjs'],
    node: false,
  },
  { layer: 'platform/linux/', own: [...CORE_LOW, 'platform/linux/'], packages: [], node: false },
  {
    layer: 'platform/common/',
    own: ['core/', 'platform/common/', 'platform/linux/'],
    packages: ['undici'],
    node: true,
  },
  {
    layer: 'platform/node/',
    own: ['core/', 'platform/common/', 'platform/linux/', 'platform/node/'],
    packages: ['undici'],
    node: true,
  },
  {
    layer: 'platform/deno/',
    own: ['core/', 'platform/common/', 'platform/linux/', 'platform/deno/'],
    packages: [],
    node: true,
  },
  {
    layer: 'cli/',
    own: ['core/', 'backends/', 'cli/', '../package.json'],
    packages: ['yargs', 'yargs/helpers'],
    node: false,
  },
  { layer: 'entry/', own: ['core/', 'backends/', 'platform/', 'cli/', 'entry/'], packages: [], node: true },
  { layer: 'mod.ts', own: ['core/', 'backends/', 'entry/'], packages: [], node: false },
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
    return rule.packages.some((name) => spec === name || spec.startsWith(`${name}/lib/`))
      ? undefined
      : `${file} imports the package ${spec}`;
  if (!/\.(ts|json)$/.test(spec)) return `${file} imports ${spec}: relative imports carry their extension`;
  const target = relative(src, resolve(src, dirname(file), spec));
  return rule.own.some((own) => target.startsWith(own))
    ? undefined
    : `${file} imports ${target}: not below ${rule.layer}`;
}

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

test('nothing imports an entry, but the library', () => {
  const guilty = sources(src).filter((file) => {
    if (file.startsWith('entry/') || file === 'mod.ts') return false;
    return importsOf(readFileSync(join(src, file), 'utf8')).some((spec) => spec.includes('/entry/'));
  });
  assert.deepEqual(guilty, []);
});

test('gRPC is loaded late: what is outside of its backend imports that by import() only, or its types', () => {
  const others = sources(src).filter((file) => !file.startsWith('backends/containerd/'));
  const [late, early]: [string[], string[]] = [[], []];
  for (const file of others) {
    const text = readFileSync(join(src, file), 'utf8');
    if (/\bimport\('[^']*backends\/containerd\//.test(text)) late.push(file);
    if (/\n(?:import|export) (?!type )[^;]*?from '[^']*backends\/containerd\//.test(`\n${text}`))
      early.push(file);
  }
  assert.deepEqual([late, early], [['cli/main.ts', 'entry/api.ts'], []]);
});

test('the rule that forbids runtime modules in the core would notice one', () => {
  const rule = ruleFor('core/transfer/pull.ts');
  assert.ok(rule);
  assert.match(complaint('core/transfer/pull.ts', 'node:fs', rule) ?? '', /no runtime modules/);
  assert.match(complaint('core/transfer/pull.ts', '../../cli/main.ts', rule) ?? '', /not below core/);
});
