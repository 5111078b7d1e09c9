/** What commands print as JSON, against the schemas of the package; members that a schema does not name are errors here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { repository } from './runtimes.ts';

export type SchemaName = 'documents' | 'progress';

const files = new Map<SchemaName, ReturnType<typeof load>>();

function schema(name: SchemaName): ReturnType<typeof load> {
  const known = files.get(name) ?? load(name);
  files.set(name, known);
  return known;
}

function load(name: SchemaName): {
  readonly types: readonly string[];
  readonly check: (type: string) => ValidateFunction | undefined;
} {
  const document = JSON.parse(readFileSync(join(repository, `schema/${name}.v1.json`), 'utf8'));
  const ajv = new Ajv2020({ allErrors: true, discriminator: true });
  formats.default(ajv);
  ajv.addSchema(closed(document));
  const types = Object.values<{ readonly properties?: { readonly type?: { readonly const?: string } } }>(
    document.$defs,
  ).flatMap(({ properties }) => properties?.type?.const ?? []);
  return { types, check: (type) => ajv.getSchema(`${document.$id}#/$defs/${type}`) };
}

/** Whoever reads the output passes over new members; its tests must not. */
function closed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(closed) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, closed(member)]);
  const object: Record<string, unknown> = Object.fromEntries(entries);
  const isShape = object.type === 'object' && 'properties' in object && !('oneOf' in object);
  return (isShape ? { ...object, additionalProperties: false } : object) as T;
}

/** The types of the schema. */
export function typesOf(name: SchemaName): readonly string[] {
  return schema(name).types;
}

/** The types that were seen to be valid. */
export const seen: Readonly<Record<SchemaName, Set<string>>> = {
  documents: new Set(),
  progress: new Set(),
};

export function assertValid(name: SchemaName, document: unknown): void {
  const type = String((document as { readonly type?: unknown }).type);
  const check = schema(name).check(type);
  assert.ok(check, `the schema ${name} has no type ${type}`);
  const errors = check(document) ? [] : (check.errors ?? []);
  const told = errors.map(({ instancePath, message, params }) => ({ instancePath, message, params }));
  assert.deepEqual(told, [], `${type} does not fit: ${JSON.stringify(document)}`);
  seen[name].add(type);
}

/** Checks what a command line printed, where the command line asks for JSON. */
export function checkPrinted(
  args: readonly string[],
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): void {
  const asked = args.some(
    (arg, at) => /^--progress=json$/.test(arg) || (arg === 'json' && args[at - 1] === '--progress'),
  );
  if (asked) {
    for (const line of linesOf(stdout)) {
      const document = JSON.parse(line);
      assertValid(document.type === 'plan' ? 'documents' : 'progress', document);
    }
  } else if (/^\{\s*"v"/.test(stdout)) assertValid('documents', JSON.parse(stdout));
  if (args.includes('--json')) for (const line of linesOf(stderr)) assertValid('documents', JSON.parse(line));
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.startsWith('{"v":'));
}
