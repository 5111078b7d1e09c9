/** The table of messages beside containerd's own .proto files, where its API module is in Go's module cache. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { CALLS, MESSAGES, STREAMS, WRITES } from '../../../src/backends/containerd/proto.ts';
import { requirePeer } from '../../support/needs.ts';

type Fields = Readonly<Record<string, readonly [number, string]>>;
const METHODS = Object.entries({ ...CALLS, ...STREAMS, ...WRITES });
const messages: Readonly<Record<string, Fields>> = MESSAGES;

/** The folder of the newest API module that is there. */
function apiFolder(): string | undefined {
  const modules = process.env.GOMODCACHE ?? join(process.env.GOPATH ?? join(homedir(), 'go'), 'pkg/mod');
  const folder = join(modules, 'github.com/containerd/containerd');
  if (!existsSync(folder)) return undefined;
  const versions = readdirSync(folder).filter((name) => name.startsWith('api@'));
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  return newest === undefined ? undefined : join(folder, newest);
}

/** Not among the common types of protobufjs. */
protobuf.common('google/rpc/status.proto', {
  nested: {
    google: {
      nested: {
        rpc: {
          nested: {
            Status: { fields: { code: { id: 1, type: 'int32' }, message: { id: 2, type: 'string' } } },
          },
        },
      },
    },
  },
});

function load(folder: string): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => (/^(?:\/|google\/)/.test(target) ? target : join(folder, target));
  const services = new Set(METHODS.map(([name]) => name.split('.')[0] ?? ''));
  for (const service of services) {
    const dir = join(folder, 'services', service, 'v1');
    for (const file of readdirSync(dir).filter((name) => name.endsWith('.proto')))
      root.loadSync(join(dir, file));
  }
  root.resolveAll();
  return root;
}

/** How a type of the table differs from containerd's. */
function differences(name: string, theirs: protobuf.Type): string[] {
  return Object.entries(messages[name] ?? {}).flatMap(([field, [id, type]]) => {
    const at = `${name}.${field} (${theirs.fullName})`;
    const other = theirs.fields[field];
    if (other === undefined) return [`${at}: no such field`];
    if (other.id !== id) return [`${at}: number ${id}, not ${other.id}`];
    const one = type.replace(/\[\]$/, '');
    if (other.repeated !== (one !== type)) return [`${at}: repeated or not`];
    if (other instanceof protobuf.MapField)
      return other.keyType === 'string' && other.type === 'string' && type === 'labels'
        ? []
        : [`${at}: a map`];
    const resolved = other.resolvedType;
    if (resolved instanceof protobuf.Enum) return one === 'enum' ? [] : [`${at}: an enum`];
    if (resolved instanceof protobuf.Type)
      return one in messages ? differences(one, resolved) : [`${at}: a message`];
    return other.type === one || `u${one}` === other.type ? [] : [`${at}: ${one}, not ${other.type}`];
  });
}

const folder: string | undefined = apiFolder();
if (folder === undefined) requirePeer('the module containerd/api');
const skip: string | false =
  folder === undefined && 'needs github.com/containerd/containerd/api in Go’s module cache';

test('containerd proto: methods, numbers and types are those of containerd’s .proto files', { skip }, () => {
  const root = load(folder ?? '');
  const wrong: string[] = [];
  for (const [name, [request, response]] of METHODS) {
    const [service = '', method = ''] = `containerd.services.${name}`.split('/');
    const theirs = root.lookupService(service).methods[method]?.resolve() as protobuf.Method | undefined;
    if (theirs === undefined) {
      wrong.push(`${name}: no such method`);
      continue;
    }
    const streams = [theirs.requestStream === true, theirs.responseStream === true];
    if (streams[0] !== name in WRITES || streams[1] !== (name in WRITES || name in STREAMS))
      wrong.push(`${name}: streams ${streams}`);
    wrong.push(...differences(request, theirs.resolvedRequestType as protobuf.Type));
    wrong.push(...differences(response, theirs.resolvedResponseType as protobuf.Type));
  }
  assert.deepEqual([...new Set(wrong)], []);
});

test('containerd proto: a message that no method needs is not in the table', () => {
  const used = new Set<string>();
  const add = (name: string): void => {
    if (used.has(name) || !(name in messages)) return;
    used.add(name);
    for (const [, type] of Object.values(messages[name] ?? {})) add(type.replace(/\[\]$/, ''));
  };
  for (const [, pair] of METHODS) pair.forEach(add);
  assert.deepEqual(
    Object.keys(messages).filter((name) => !used.has(name)),
    [],
  );
});
