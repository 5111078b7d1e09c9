/** The keys and authorities of a requirement, read when an image is judged by it. */
import { HawserError, isKind, wrap } from '../errors.ts';
import { parseJson } from '../oci/json.ts';
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type {
  Authorities,
  Certificate,
  Logs,
  SignatureChecks,
  SigningKey,
  TrustedRoot,
} from '../ports/signatures.ts';
import type { SignedBy, SignerIdentity, Source } from './requirements.ts';

/** Who may have signed, ready to check with. */
export type Trusted =
  | { readonly by: 'key'; readonly keys: readonly SigningKey[]; readonly logs: Logs | undefined }
  | {
      readonly by: 'fulcio';
      readonly authorities: Authorities;
      readonly logs: Logs;
      readonly issuer: string;
      readonly email: string;
    }
  | {
      readonly by: 'pki';
      readonly authorities: Authorities;
      readonly email: string | undefined;
      readonly host: string | undefined;
    }
  | { readonly by: 'root'; readonly root: TrustedRoot; readonly identities: readonly SignerIdentity[] };

/** Bytes of a file of keys, certificates or a trusted root. */
export const MAX_FILE: number = 1024 * 1024;

export interface MaterialDeps {
  readonly fs: Pick<FileSystem, 'readFile'>;
  readonly checks: SignatureChecks;
  /** Of the policy that names the files. */
  readonly guard: (path: string, call: Call) => Promise<void>;
}

/** Reads what a requirement trusts. A file that cannot be read or used is an error: never a signer less. */
export async function trustedBy(
  deps: MaterialDeps,
  { signers, logs }: SignedBy,
  call: Call,
): Promise<Trusted> {
  const { checks } = deps;
  const keys = (sources: readonly Source[]) =>
    Promise.all(sources.map((one) => used(deps, one, 'the key', (bytes) => checks.key(bytes), call)));
  const certificates = (source: Source) =>
    used(deps, source, 'the authorities', (bytes) => checks.certificates(bytes), call);
  const known = logs.length === 0 ? undefined : checks.logs(await keys(logs));
  switch (signers.by) {
    case 'key':
      return { by: 'key', keys: await keys(signers.keys), logs: known };
    case 'fulcio': {
      const { issuer, email } = signers;
      const authorities = checks.authorities(await certificates(signers.authorities), []);
      return { by: 'fulcio', authorities, logs: known ?? checks.logs([]), issuer, email };
    }
    case 'pki': {
      const { email, host, roots, intermediates } = signers;
      const between = intermediates === undefined ? [] : await certificates(intermediates);
      return { by: 'pki', authorities: checks.authorities(await certificates(roots), between), email, host };
    }
    case 'root': {
      const read = (bytes: Uint8Array) => checks.trustedRoot(parseJson(bytes, 'the trusted root'));
      const root = await used(deps, signers.root, 'the trusted root', read, call);
      return { by: 'root', root, identities: signers.identities };
    }
  }
}

async function used<T>(
  { fs, guard }: MaterialDeps,
  source: Source,
  what: string,
  use: (bytes: Uint8Array) => T,
  call: Call,
): Promise<T> {
  const shown = 'path' in source ? `${what} ${source.path}` : `${what} in the policy`;
  try {
    if ('data' in source) return use(source.data);
    const bytes = await fs.readFile(source.path, MAX_FILE, call);
    await guard(source.path, call);
    return use(bytes);
  } catch (err) {
    // A file of the policy that is gone is not an image that is not there.
    if (isKind(err, 'NotFound'))
      throw new HawserError('FailedPrecondition', `Cannot use ${shown}: there is no such file`, {
        hint: 'Put the file back, or name another one',
        cause: err,
      });
    throw wrap(`Cannot use ${shown}`, err);
  }
}

/** Certificates that came with a signature. */
export function certificatesOf(checks: SignatureChecks, pem: string): readonly Certificate[] {
  return checks.certificates(new TextEncoder().encode(pem));
}
