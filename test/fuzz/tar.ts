/** The tar reader: archives of a known content, and the same damaged. */
import { Buffer } from 'node:buffer';
import type { Kind } from '../../src/core/errors.ts';
import {
  base256,
  bytes,
  concat,
  END,
  gnuLong,
  header,
  member,
  padded,
  pax,
  type RawHeader,
} from '../support/tar-builder.ts';
import { type Recorded, record, split } from '../unit/archive/events.ts';
import {
  many,
  mutate,
  type Next,
  ODD_NUMBERS,
  pick,
  randomBytes,
  randomLength,
  rarely,
  seeded,
} from './random.ts';
import { type AnyTarget, Finding, outcome, same, shrinkBytes } from './target.ts';

const ERRORS: readonly Kind[] = ['InvalidArgument', 'DataLoss'];

interface Plain {
  readonly type: string;
  readonly name: string;
  readonly link: string;
  readonly content: string;
}

interface Archive {
  readonly tar: Uint8Array;
  /** What it holds, unless it was damaged. */
  readonly wanted: readonly Plain[] | undefined;
}

const TYPES = {
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
  '6': 'fifo',
} as const;

function nameFor(next: Next): string {
  const long = pick(next, [1, 5, 99, 100, 101, 155, 256, 4096]);
  const name = Array.from({ length: Math.min(long, 1 + next(long)) }, () =>
    pick(next, ['a', '/', '.', '\xff', 'b', '\\', ' ', 'é'.slice(0, 1)]),
  );
  return `n${name.join('')}`.slice(0, 4096);
}

/** How a name goes into the archive. */
function named(next: Next, name: string, link: string): { before: Uint8Array[]; header: RawHeader } {
  const fits = name.length <= 100 && link.length <= 100;
  const way = fits ? next(3) : 1 + next(2);
  const short = { name: name.slice(0, 100), linkName: link.slice(0, 100) };
  if (way === 0) return { before: [], header: short };
  if (way === 1) {
    const records = [['path', name], ['comment', bytes('\xff\0=\n')], ...(link ? [['linkpath', link]] : [])];
    return { before: [pax(records as [string, string][])], header: short };
  }
  const before = [gnuLong('L', name), ...(link ? [gnuLong('K', link)] : [])];
  return { before, header: { ...short, magic: 'gnu' } };
}

function sparse(next: Next, name: string): { blocks: Uint8Array[]; content: string } {
  let at = 0;
  const map: [number, number][] = many(next, 6, () => {
    at += next(700);
    const length = next(600);
    at += length;
    return [at - length, length];
  });
  const size = at + next(2000);
  const content = new Uint8Array(size);
  const stored = concat(
    map.map(([offset, length]) => {
      const part = randomBytes(next, length);
      content.set(part, offset);
      return part;
    }),
  );
  const name0 = ['GNU.sparse.name', name] as const;
  const text = Buffer.from(content).toString('latin1');
  if (next(2)) {
    const records = [
      ['GNU.sparse.size', `${size}`],
      name0,
      ['GNU.sparse.map', map.flat().join(',')],
    ] as const;
    if (map.length > 0) return { blocks: [pax(records), member({}, stored)], content: text };
  }
  const records = [
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.realsize', `${size}`],
    name0,
  ] as const;
  const head = padded(bytes(`${map.length}\n${map.map(([o, l]) => `${o}\n${l}\n`).join('')}`));
  return { blocks: [pax(records), member({}, concat([head, stored]))], content: text };
}

function oneMember(next: Next): { blocks: Uint8Array[]; plain: Plain } {
  const name = nameFor(next);
  if (rarely(next, 5)) {
    const { blocks, content } = sparse(next, name);
    return { blocks, plain: { type: 'file', name, link: '', content } };
  }
  const type = pick(next, Object.keys(TYPES) as (keyof typeof TYPES)[]);
  const link = type === '1' || type === '2' ? nameFor(next) : '';
  const content = TYPES[type] === 'file' ? randomBytes(next, randomLength(next, 512)) : new Uint8Array(0);
  const way = named(next, name, link);
  const size = rarely(next, 4) ? { size: base256(BigInt(content.length), 12) } : {};
  const blocks = [...way.before, member({ ...way.header, ...size, type }, content)];
  return {
    blocks,
    plain: { type: TYPES[type], name, link, content: Buffer.from(content).toString('latin1') },
  };
}

/** A block whose fields are odd, with a right checksum: behind the checksum is where the work is. */
function oddHeader(next: Next): Uint8Array {
  const number = (length: number): Uint8Array =>
    next(2)
      ? base256(BigInt(next(2 ** 31)) * BigInt(pick(next, [1, -1, 2 ** 31, 0])), length)
      : bytes(
          pick(next, [...ODD_NUMBERS, '77777777777', '100'])
            .slice(0, length)
            .padEnd(length, pick(next, ['\0', ' '])),
        );
  return header({
    name: pick(next, ['', '.', '/', '..', 'x', 'a/', '\0x']),
    type: pick(next, [...'01234567xXgLKSVADMNIZ', '\0', '\xff']),
    magic: pick(next, ['ustar', 'gnu', 'v7']),
    size: number(12),
    ...(next(2) ? { uid: number(8) } : {}),
    ...(next(2) ? { mtime: number(12) } : {}),
    patch: (block) => {
      if (rarely(next, 2)) block.set(randomBytes(next, 130), 345 + next(30));
      if (rarely(next, 4)) block[482] = 1;
    },
  });
}

function oddRecords(next: Next): Uint8Array {
  const keys = [
    'path',
    'linkpath',
    'size',
    'uid',
    'gid',
    'mtime',
    'atime',
    'SCHILY.xattr.user.a',
    'SCHILY.xattr.',
  ];
  const sparse = ['map', 'size', 'name', 'major', 'minor', 'realsize', 'offset', 'numbytes', 'numblocks'];
  const key = (): string => (next(2) ? pick(next, keys) : `GNU.sparse.${pick(next, sparse)}`);
  const value = (): string => pick(next, [...ODD_NUMBERS, '0,1', '0,1,1', '5,3,2,9', 'x\0y', '\xff']);
  return pax(
    many(next, 8, () => [key(), value()] as const),
    pick(next, ['x', 'x', 'g', 'X']),
  );
}

/** Changes bytes of one block and mends its checksum. */
function patched(next: Next, tar: Uint8Array): Uint8Array {
  const out = new Uint8Array(tar);
  const block = out.subarray(512 * next(out.length / 512)).subarray(0, 512);
  for (let i = 1 + next(4); i > 0; i--)
    block[next(block.length)] = pick(next, [0, 0x20, 0x30, 0x37, 0x80, 0xff, next(256)]);
  block.set(bytes('        '), 148);
  const sum = block.reduce((a, b) => a + b, 0);
  block.set(bytes(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return out;
}

function generate(next: Next): Archive {
  const members = many(next, 6, () => oneMember(next));
  const clean = concat([...members.flatMap((m) => m.blocks), next(4) ? END : new Uint8Array(next(2) * 512)]);
  const wanted = members.map((m) => m.plain);
  switch (next(5)) {
    case 0:
      return { tar: clean, wanted };
    case 1:
      return { tar: clean.length >= 512 ? patched(next, clean) : clean, wanted: undefined };
    case 2:
      return { tar: mutate(next, clean, 3), wanted: undefined };
    default: {
      const odd = many(next, 3, () => (next(2) ? oddHeader(next) : oddRecords(next)));
      return {
        tar: concat([...odd, ...members.slice(0, 2).flatMap((m) => m.blocks), END]),
        wanted: undefined,
      };
    }
  }
}

function check({ entry, content, shape, ended }: Recorded): void {
  const fail = (what: string): never => {
    throw new Finding(`${what}: ${JSON.stringify({ ...entry, shape })}`);
  };
  if (!ended) fail('an entry without its end');
  if (entry.name.length > 4096 || entry.linkName.length > 4096) fail('an overlong name');
  if (`${entry.name}${entry.linkName}`.includes('\0')) fail('NUL in a name');
  for (const id of [entry.uid, entry.gid]) if (!(id >= 0 && id < 2 ** 32 - 1)) fail('an id out of range');
  for (const n of [entry.devMajor, entry.devMinor])
    if (!(n >= 0 && n < 2 ** 32)) fail('a device out of range');
  for (const time of [entry.mtime, entry.atime ?? entry.mtime]) {
    if (!Number.isSafeInteger(time.sec) || !(time.nsec >= 0 && time.nsec < 1e9)) fail('a time out of range');
  }
  if (!Number.isSafeInteger(entry.size) || entry.size < 0) fail('a size out of range');
  const length = [...shape.matchAll(/[0-9]+/g)].reduce((sum, [n]) => sum + Number(n), 0);
  if (length !== entry.size) fail('a content that is not as long as its size');
  if (entry.type !== 'file' && content !== '') fail('content of something that is no file');
}

function execute({ tar, wanted }: Archive): void {
  const whole = outcome(ERRORS, () => record([tar]));
  const next = seeded(tar.length);
  for (const size of [1 + next(40), 1 + next(1500)]) {
    same(
      `in pieces of ${size}`,
      whole,
      outcome(ERRORS, () => record(split(tar, size))),
    );
  }
  if ('value' in whole) for (const one of whole.value) check(one);
  if (wanted === undefined) return;
  if ('error' in whole) throw new Finding(`a good archive is refused: ${whole.error}`);
  const plain = whole.value.map(({ entry, content }) => ({
    type: entry.type,
    name: entry.name,
    link: entry.linkName,
    content,
  }));
  same('the content', plain, wanted);
}

export const tarTarget: AnyTarget = {
  name: 'tar',
  generate,
  execute,
  *shrink({ tar }: Archive): Generator<Archive> {
    for (const smaller of shrinkBytes(tar)) yield { tar: smaller, wanted: undefined };
  },
  show: ({ tar }: Archive) => `base64 ${Buffer.from(tar).toString('base64')}`,
} as AnyTarget;
