/** Manifests, indexes and configurations: JSON of the right form, with members changed, dropped, doubled and damaged. */
import { Buffer } from 'node:buffer';
import type { Kind } from '../../src/core/errors.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { childrenOf, documentType, parseConfig } from '../../src/core/oci/documents.ts';
import { parseJson } from '../../src/core/oci/json.ts';
import { many, mutate, type Next, ODD_NUMBERS, pick, rarely } from './random.ts';
import { type AnyTarget, bytesTarget, Finding, outcome, same } from './target.ts';

const ERRORS: readonly Kind[] = ['InvalidArgument', 'NotImplemented'];

const TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
];
const SHA = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** JSON text, for values that JavaScript has not (a key twice, numbers too large). */
type Text = string;

function odd(next: Next): Text {
  const texts = [
    'null',
    '[]',
    '{}',
    '""',
    'true',
    '1e999',
    '-1',
    '"\\u0000"',
    '"\\ud800"',
    '{"a":1,"a":2}',
    '"é"',
    '1.5',
  ];
  if (rarely(next, 10)) return `${'['.repeat(next(300))}${']'.repeat(next(300))}`;
  return pick(next, [...texts, ...ODD_NUMBERS.filter((n) => n !== '')]);
}

/** An object of these members: now and then one is odd, missing, or there twice. */
function object(next: Next, members: Readonly<Record<string, Text>>): Text {
  const out: string[] = [];
  for (const [key, value] of Object.entries(members)) {
    const fate = next(30);
    if (fate === 0) continue;
    out.push(`${JSON.stringify(fate === 1 ? key.toUpperCase() : key)}:${fate === 2 ? odd(next) : value}`);
    if (fate === 3) out.push(`${JSON.stringify(key)}:${odd(next)}`);
  }
  if (rarely(next, 10))
    out.push(`${pick(next, ['"__proto__"', '"constructor"', '"manifests"', '"fsLayers"'])}:${odd(next)}`);
  return `{${out.join(pick(next, [',', ' ,\n']))}}`;
}

function list(next: Next, one: () => Text): Text {
  return `[${many(next, 4, one).join(',')}]`;
}

const word = (text: string): Text => JSON.stringify(text);

function map(next: Next): Text {
  return `{${many(next, 3, (i) => `"k${i}":${word(pick(next, ['v', '', 'é', 'x'.repeat(300)]))}`).join(',')}}`;
}

function descriptor(next: Next): Text {
  const digests = [
    SHA,
    `sha512:${'0'.repeat(128)}`,
    'sha256:x',
    '',
    `sha256:${'0'.repeat(63)}`,
    `SHA256:${'0'.repeat(64)}`,
  ];
  return object(next, {
    mediaType: word(pick(next, TYPES)),
    digest: word(pick(next, [SHA, SHA, ...digests])),
    size: String(next(5000)),
    ...(rarely(next, 3) ? { annotations: map(next) } : {}),
    ...(rarely(next, 3)
      ? { urls: list(next, () => word(pick(next, ['https://x/y', 'file:///etc/passwd']))) }
      : {}),
    ...(rarely(next, 3)
      ? { platform: object(next, { architecture: word('amd64'), os: word('linux'), variant: word('v8') }) }
      : {}),
    ...(rarely(next, 6) ? { data: word(pick(next, ['aGVsbG8=', '!', ''])) } : {}),
  });
}

function document(next: Next): Text {
  const common = { schemaVersion: '2', mediaType: word(pick(next, TYPES)), annotations: map(next) };
  switch (next(3)) {
    case 0:
      return object(next, { ...common, manifests: list(next, () => descriptor(next)) });
    case 1:
      return object(next, {
        ...common,
        config: descriptor(next),
        layers: list(next, () => descriptor(next)),
      });
    default: {
      const texts = (): Text =>
        list(next, () => word(pick(next, ['A=b', '/bin/sh', '\u0000', 'x'.repeat(200)])));
      const runs = object(next, {
        User: word('0'),
        Env: texts(),
        Cmd: texts(),
        Labels: map(next),
        ExposedPorts: '{"80/tcp":{}}',
        Volumes: '{"/v":{}}',
      });
      const history = list(next, () =>
        object(next, { created: word('2026-01-01T00:00:00Z'), created_by: word('x'), empty_layer: 'true' }),
      );
      const rootfs = object(next, { type: word('layers'), diff_ids: list(next, () => word(SHA)) });
      return object(next, { architecture: word('amd64'), os: word('linux'), config: runs, rootfs, history });
    }
  }
}

function generate(next: Next): Uint8Array {
  const text = Buffer.from(rarely(next, 5) ? odd(next) : document(next), 'utf8');
  return rarely(next, 3) ? mutate(next, text, 2) : text;
}

function execute(input: Uint8Array): void {
  const json = outcome(ERRORS, () => parseJson(input, 'the document'));
  if ('value' in json)
    same('as JSON.parse reads it', json.value, JSON.parse(Buffer.from(input).toString('utf8')));
  const desc = { mediaType: '', digest: parseDigest(SHA), size: input.length } as Descriptor;
  documentType(input, '');
  const kinds = TYPES.filter((mediaType) => {
    const read = outcome(ERRORS, () => childrenOf(input, { ...desc, mediaType }));
    if ('error' in read || read.value.length === 0) return false;
    for (const child of read.value) {
      parseDigest(child.digest);
      if (!Number.isSafeInteger(child.size) || child.size < 0) throw new Finding(`a size of ${child.size}`);
    }
    return true;
  });
  const classes = new Set(kinds.map((type) => /index|list/.test(type)));
  if (classes.size > 1) throw new Finding(`read both as an index and as a manifest (${kinds})`);
  outcome(ERRORS, () => parseConfig(input, desc));
}

export const documentTarget: AnyTarget = bytesTarget({ name: 'document', generate, execute });
