import { HawserError } from '../../core/errors.ts';

const MAX_LENGTH = 76;
const FORM = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

const HINT = `Use letters and digits, parted by single dots, dashes or underscores, ${MAX_LENGTH} characters at most`;

/** The rule for namespace names, in the words of containerd's pkg/identifiers. InvalidArgument. */
export function checkIdentifier(name: string): void {
  if (name === '') throw new HawserError('InvalidArgument', 'identifier must not be empty', { hint: HINT });
  if (name.length > MAX_LENGTH) {
    throw new HawserError(
      'InvalidArgument',
      `identifier "${name.slice(0, MAX_LENGTH)}…" greater than maximum length (${MAX_LENGTH} characters)`,
      { hint: HINT },
    );
  }
  if (!FORM.test(name)) {
    throw new HawserError('InvalidArgument', `identifier ${JSON.stringify(name)} must match ${FORM.source}`, {
      hint: HINT,
    });
  }
}
