import process from 'node:process';
import { HawserError } from '../../core/errors.ts';
import type { Provider } from './choose.ts';
import { isGranted } from './deno-permission.ts';

/**
 * HAWSER_SYSCALLS=ffi or tools forces how system calls are made, in the main thread and in workers, for tests and for machines
 * where one of them misbehaves. Unset or empty, or an environment we may not read: the best that works.
 */
export function chosenProvider(): Provider | undefined {
  if (!isGranted({ name: 'env', variable: 'HAWSER_SYSCALLS' })) return undefined;
  const value = process.env.HAWSER_SYSCALLS;
  if (value === undefined || value === '') return undefined;
  if (value === 'ffi' || value === 'tools') return value;
  throw new HawserError('InvalidArgument', `HAWSER_SYSCALLS is "${value}", not ffi or tools`);
}
