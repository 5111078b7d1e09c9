import { HawserError, reasonOf } from '../../core/errors.ts';

/** Wrong usage of the command line: exit code 2. */
export function usageError(message: string, hint?: string): HawserError {
  return new HawserError('InvalidArgument', message, {
    hint: hint ?? 'See hawser help',
    reason: { type: 'usage' },
  });
}

export function isUsageError(err: unknown): boolean {
  return reasonOf(err, 'usage') !== undefined;
}

/** For expressions: throws `err`. */
export function raise(err: Error): never {
  throw err;
}
