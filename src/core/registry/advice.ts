/** What a user can do when no host had an answer. */
import { findError, HawserError, hintOf, kindOf, messageOf } from '../errors.ts';
import type { Reference } from '../reference/reference.ts';
import { codeOf, failedConnection, statusOf } from './failures.ts';
import type { Host } from './hosts.ts';
import { printable, safeUrl } from './redact.ts';

/** Why a host of a list had no answer. */
export interface Failure {
  readonly host: Host;
  readonly error: unknown;
}

export interface Told {
  readonly reference: Reference;
  /** What configured the hosts: a file, a directory, or `default`. */
  readonly source: string;
  /** Of the other hosts. */
  readonly others: readonly Failure[];
}

/**
 * The error with what its own hint cannot know: what is wrong with another host of the list for good (its scheme, its
 * certificate, its credentials), and which registry a short name means.
 */
export function advised(error: unknown, { reference, source, others }: Told): unknown {
  const wrong = others.flatMap(({ host, error: other }) => {
    const hint = isForGood(other) ? hintOf(other) : undefined;
    return hint === undefined ? [] : [`${safeUrl(host.base)} of ${source}: ${printable(hint, 300)}`];
  });
  const own = hintOf(error);
  // A registry that is not reached is why there is a mirror: what is wrong with the mirror comes first.
  const parts = failedConnection(error) === undefined ? [own, ...wrong] : [...wrong, own];
  const hint = [...parts, shortName(error, reference)].filter((part) => part !== undefined).join('. ');
  if (hint === '' || hint === own) return error;
  const { kind = kindOf(error), reason } = findError(error) ?? {};
  return new HawserError(kind, messageOf(error), { hint, cause: error, reason });
}

function isForGood(error: unknown): boolean {
  const status = statusOf(error);
  return codeOf(error) === 'TLS' || status === 401 || status === 403;
}

/** Where Docker Hub was not reached, or has or gives no such image, and the user may not have meant Docker Hub. */
function shortName(error: unknown, { raw, name, host }: Reference): string | undefined {
  if (raw === '' || raw === host || raw.startsWith(`${host}/`)) return undefined;
  const kind = kindOf(error);
  const concerns =
    failedConnection(error) !== undefined ||
    ['NotFound', 'Unauthenticated', 'PermissionDenied'].includes(kind);
  return concerns ? `\`${raw}\` means ${name}; an image elsewhere is HOST/${raw}` : undefined;
}
