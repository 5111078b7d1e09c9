/** PAX records, against a reader written in another way (by patterns over text). */
import { Buffer } from 'node:buffer';
import { type PaxRecord, parsePax, paxInteger, paxText, paxTime } from '../../src/core/archive/pax.ts';
import type { Kind } from '../../src/core/errors.ts';
import { bytes, concat, paxRecord } from '../support/tar-builder.ts';
import { many, mutate, type Next, ODD_NUMBERS, pick, randomBytes, rarely } from './random.ts';
import { type AnyTarget, bytesTarget, Finding, outcome, same } from './target.ts';

const ERRORS: readonly Kind[] = ['InvalidArgument'];

function value(next: Next): string | Uint8Array {
  switch (next(4)) {
    case 0:
      return pick(next, ODD_NUMBERS);
    case 1:
      return `${next(2) ? '-' : ''}${next(2 ** 31)}${next(2) ? `.${'0'.repeat(next(10))}${next(2 ** 31)}` : ''}`;
    case 2:
      return randomBytes(next, next(40));
    default:
      return 'v'.repeat(next(pick(next, [5, 110, 1100])));
  }
}

function generate(next: Next): Uint8Array {
  const keys = ['mtime', 'path', 'size', 'k', 'a.b', '\xff', 'k=v', ' '];
  const all = concat(many(next, 6, () => paxRecord(pick(next, keys), value(next))));
  return rarely(next, 3) ? all : mutate(next, all, 2);
}

/** What POSIX says, by patterns: `%d %s=%s\n`, the number counting itself. `undefined`: malformed. */
function reference(input: Uint8Array): { key: string; value: string }[] | undefined {
  const out: { key: string; value: string }[] = [];
  for (let rest = Buffer.from(input).toString('latin1'); rest !== ''; ) {
    const length = /^([0-9]{1,8}) /.exec(rest)?.[1];
    if (length === undefined) return undefined;
    const one = rest.slice(0, Number(length));
    const parts = /^[0-9]+ ([^=\0]+)=(.*)\n$/s.exec(one);
    if (parts === null || one.length !== Number(length)) return undefined;
    out.push({ key: parts[1] ?? '', value: parts[2] ?? '' });
    rest = rest.slice(one.length);
  }
  return out;
}

function checkNumbers(record: PaxRecord): void {
  const text = Buffer.from(record.value).toString('latin1');
  const integer = outcome(ERRORS, () => paxInteger(record));
  if ('value' in integer && BigInt(text) !== BigInt(integer.value))
    throw new Finding(`${text} read as ${integer.value}`);
  const time = outcome(ERRORS, () => paxTime(record));
  if ('error' in time) return;
  const { sec, nsec } = time.value;
  const [, sign, whole = '', fraction = ''] = /^(-?)([0-9]+)\.?([0-9]*)$/.exec(text) ?? [];
  const exact = BigInt(`${whole}${fraction.slice(0, 9).padEnd(9, '0')}`) * (sign === '-' ? -1n : 1n);
  if (BigInt(sec) * 1_000_000_000n + BigInt(nsec) !== exact)
    throw new Finding(`${text} read as ${sec} s ${nsec} ns`);
}

function execute(input: Uint8Array): void {
  const read = outcome(ERRORS, () => parsePax(input));
  const wanted = reference(input);
  if ('error' in read || wanted === undefined) {
    if ('error' in read && wanted === undefined) return;
    throw new Finding(`one reader refuses it: ${JSON.stringify(read)} ${JSON.stringify(wanted)}`);
  }
  const plain = read.value.map((one) => ({ key: one.key, value: Buffer.from(one.value).toString('latin1') }));
  same('the records', plain, wanted);
  for (const record of read.value) {
    checkNumbers(record);
    outcome(ERRORS, () => paxText(record));
  }
  // What was read, written again, is what it was, for there is but one way to write it (but for zeros before the length).
  const again = concat(plain.map((one) => paxRecord(one.key, bytes(one.value))));
  if (again.length === input.length) same('written again', again, input);
}

export const paxTarget: AnyTarget = bytesTarget({ name: 'pax', generate, execute });
