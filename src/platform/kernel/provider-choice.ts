import process from 'node:process';
import { HawserError } from '../../core/errors.ts';
import type { Provider } from './choose.ts';

/**
 * HAWSER_SYSCALLS=ffi or tools forces how system calls are made, in the main thread and in workers, for tests and for machines
 * where one of them misbehaves. Unset or empty, or an environment we may not read: the best that works.
 */
export function chosenProvider(): Provider | undefined {
  let value: string | undefined;
  try {
    value = process.env.HAWSER_SYSCALLS;
  } catch {
    return undefined;
  }
  if (value === undefined || value === '') return undefined;
  if (value === 'ffi' || value === 'tools') return value;
  throw new HawserError('InvalidArgument', `HAWSER_SYSCALLS is "${value}", not ffi or tools`);
}
