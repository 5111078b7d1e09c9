/** Certificates and keys that a hosts directory names, as PEM texts. */
import { HawserError, messageOf } from '../../errors.ts';
import type { Call } from '../../ports/call.ts';
import type { FileSystem } from '../../ports/file-system.ts';
import type { TlsOptions } from '../../ports/transport.ts';
import type { HostEntry } from './toml.ts';

export type ReadFiles = Pick<FileSystem, 'readFile' | 'list'>;

const MAX_PEM_BYTES = 1024 * 1024;

/** The TLS settings of an entry. */
export type TlsFiles = Pick<HostEntry, 'ca' | 'client' | 'skipVerify' | 'where'>;

/** Undefined: no setting. Relative paths are below `dir`. A file that is missing, or is not in PEM form, is an error. */
export async function tlsOf(
  fs: ReadFiles,
  dir: string,
  files: TlsFiles,
  call: Call,
): Promise<TlsOptions | undefined> {
  const { ca, client, skipVerify, where } = files;
  if (ca.length === 0 && client.length === 0 && skipVerify === undefined) return undefined;
  const read = async (key: 'ca' | 'client', path: string, [label, what]: Label): Promise<string> => {
    const absolute = path.startsWith('/') ? path : `${dir}/${path}`;
    try {
      const text = new TextDecoder().decode(await fs.readFile(absolute, MAX_PEM_BYTES, call));
      if (label.test(text)) return text;
      throw new HawserError('InvalidArgument', `${absolute} holds no ${what} in PEM form`);
    } catch (err) {
      call.signal?.throwIfAborted();
      throw new HawserError('FailedPrecondition', `${where(key)}: ${messageOf(err)}`, {
        hint: 'Mend the file, or take away what names it; nothing is pulled meanwhile',
        cause: err,
      });
    }
  };
  const certificates = await Promise.all(ca.map((path) => read('ca', path, CERTIFICATE)));
  const [pair] = client;
  const extra = certificates.length === 0 ? {} : { extraCa: certificates.join('\n') };
  const skip = skipVerify === undefined ? {} : { skipVerify };
  if (pair === undefined) return { ...extra, ...skip };
  const cert = await read('client', pair.cert, CERTIFICATE);
  const key = await read('client', pair.key, KEY);
  return { ...extra, ...skip, cert, key };
}

type Label = readonly [pattern: RegExp, what: string];

const CERTIFICATE: Label = [/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/, 'certificate'];
const KEY: Label = [/-----BEGIN (?:RSA |EC )?PRIVATE KEY-----/, 'unencrypted key'];

/** Docker's layout: each `*.crt` is a CA; each `*.cert` a client certificate, its key in the `.key` beside it or in itself. */
export async function dockerCerts(fs: ReadFiles, dir: string, call: Call): Promise<TlsFiles> {
  const names = (await fs.list(dir, call)).filter(({ type }) => type !== 'directory').map(({ name }) => name);
  const client = names
    .filter((name) => name.endsWith('.cert'))
    .map((cert) => {
      const key = cert.replace(/\.cert$/, '.key');
      return { cert, key: names.includes(key) ? key : cert };
    });
  return {
    ca: names.filter((name) => name.endsWith('.crt')),
    client,
    skipVerify: undefined,
    where: () => dir,
  };
}
