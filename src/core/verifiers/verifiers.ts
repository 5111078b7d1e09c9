/** Programs that decide on images, by the contract of containerd 2 (docs/image-verification.md, pkg/imageverifier/bindir). */
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { Runtime } from '../runtime.ts';
import { checkFile, openOwned } from '../users/owned-path.ts';

/** Where the programs are, and what they may take. */
export interface Verifiers {
  /** Absolute: a program, or a directory of nothing but programs. */
  readonly path: string;
  /** How many programs the directory may have; negative: any number. */
  readonly most: number;
  /** Milliseconds for each. */
  readonly timeLimit: number;
  /** A directory that is empty or does not exist accepts every image, as in containerd. */
  readonly mayLack: boolean;
}

/** containerd's defaults (plugins/imageverifier). */
export const NODE_VERIFIERS: Verifiers = {
  path: '/opt/containerd/image-verifier/bin',
  most: 10,
  timeLimit: 10_000,
  mayLack: true,
};

/** Those that a user names: at least one program. */
export function verifiersAt(path: string): Verifiers {
  return { ...NODE_VERIFIERS, path, mayLack: false };
}

const NO_VERIFIER =
  'Name a program, or a directory that holds programs, as a verifier; without one every image passes';

export type VerifierParts = Pick<Runtime, 'fs' | 'host' | 'programs' | 'syscalls'>;

/**
 * The absolute paths of the programs, in the order of their names. NotFound when there is none and must be; FailedPrecondition when
 * there are too many (containerd would leave some out); PermissionDenied when another user than root and this one could change one.
 */
export async function programsOf(
  { fs, host, syscalls }: VerifierParts,
  { path, most, mayLack }: Verifiers,
  call: Call,
): Promise<readonly string[]> {
  const found = await fs.stat(path, { follow: true, ...call });
  if (found === undefined && mayLack) return [];
  if (found === undefined)
    throw new HawserError('NotFound', `There is no image verifier: ${path} does not exist`, {
      hint: NO_VERIFIER,
    });
  const sys = await syscalls();
  const owners = [0, host.uid];
  if (found.type !== 'directory') return [owned(sys, path, owners)];
  sys.closeDir(openOwned(sys, path, owners));
  const names = (await fs.list(path, call)).map(({ name }) => name);
  if (names.length === 0 && !mayLack)
    throw new HawserError('NotFound', `There is no image verifier: ${path} is empty`, { hint: NO_VERIFIER });
  if (most >= 0 && names.length > most)
    throw new HawserError(
      'FailedPrecondition',
      `${path} has ${names.length} files, and image verifiers are ${most} at most`,
      {
        hint: mayLack
          ? 'Raise max_verifiers in the configuration of containerd, which asks the first ones only, or remove the files that are no verifiers'
          : 'Remove the files that are no verifiers, or name each program by itself: --verifier FILE',
      },
    );
  return names.map((name) => owned(sys, `${path}/${name}`, owners));
}

function owned(sys: Syscalls, path: string, owners: readonly number[]): string {
  checkFile(sys, path, owners);
  return path;
}
