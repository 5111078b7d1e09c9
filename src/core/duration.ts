import { HawserError } from './errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A hundred years: what ends so far ahead still is a date. */
const MAX_DURATION = 100 * 365.25 * 86_400_000;

/** A Go duration (`90s`, `1h30m`, `1.5s`, `0`) in milliseconds. InvalidArgument in Go's words. */
export function parseDuration(text: string): number {
  const match = /^([+-]?)(.*)$/.exec(text);
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  let total = 0;
  let rest = body;
  if (rest === '') throw invalidDuration(text, 'invalid duration');
  while (rest !== '') {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest);
    if (part === null) throw invalidDuration(text, 'invalid duration');
    const [all, amount = '', unit = ''] = part;
    if (unit === '') throw invalidDuration(text, 'missing unit in duration');
    const ms = Object.hasOwn(UNIT_MS, unit) ? UNIT_MS[unit] : undefined;
    if (ms === undefined) throw invalidDuration(text, `unknown unit "${unit}" in duration`);
    total += Number(amount) * ms;
    rest = rest.slice(all.length);
  }
  return match?.[1] === '-' ? -total : total;
}

/** InvalidArgument for a number of milliseconds that is negative or no time. `name`: of the option, for the message. */
export function checkDuration(name: string, milliseconds: number | undefined): void {
  if (milliseconds === undefined || (milliseconds >= 0 && milliseconds <= MAX_DURATION)) return;
  throw new HawserError('InvalidArgument', `Cannot use ${name}: ${milliseconds} is no time in milliseconds`, {
    hint: 'A time is a number from 0 on: an hour is 3_600_000',
  });
}

function invalidDuration(text: string, why: string): HawserError {
  return new HawserError('InvalidArgument', `${why} "${text}"`, {
    hint: 'A duration looks like 90s, 5m or 1h30m',
  });
}
