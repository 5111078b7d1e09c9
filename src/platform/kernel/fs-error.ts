import { findError, HawserError } from '../../core/errors.ts';
import { errnoError } from './errno.ts';

/** What node:fs threw (Deno's permission errors too) as a HawserError. `doing` says what was being done to what. */
export function fsError(err: unknown, doing: string): HawserError {
  const known = findError(err);
  if (known !== undefined) return known;
  const { code, name, message } = err as { code?: unknown; name?: unknown; message?: unknown };
  if (name === 'NotCapable') {
    return new HawserError('PermissionDenied', `${doing}: ${message}`, {
      hint: 'Run Deno with the flag that the message names',
      cause: err,
      reason: { type: 'errno', errno: 'EACCES', sandbox: true },
    });
  }
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return errnoError(code, doing, err);
  return new HawserError('Internal', `${doing}: ${message}`, { cause: err });
}
