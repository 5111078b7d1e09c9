/** An archive at a URL as the source of an import. */
import type { ImportSource } from '../../core/carry/open-archive.ts';
import type { Report } from '../../core/progress/events.ts';
import { safeUrl } from '../../core/registry/redact.ts';
import { PLAIN_HTTP } from '../grammar/registry-flags.ts';
import type { UrlFlag } from '../grammar/url-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { archiveInput } from './archive-input.ts';
import type { Context } from './context.ts';
import { networkOptions } from './network-options.ts';
import { urlOptions } from './registry-options.ts';
import { withTransferRegistry } from './transfer.ts';

/** Does `work` with the archive that an argument names: a path, `-`, or a URL, whose connections are closed afterwards. */
export async function withArchive<T>(
  context: Context<UrlFlag>,
  argument: string,
  report: Report,
  work: (from: ImportSource) => Promise<T>,
): Promise<T> {
  const url = archiveUrl(context, argument);
  if (url === undefined) return await work(archiveInput(context, argument));
  const { signal } = context;
  const options = { ...(await urlOptions(context)), ...networkOptions(context.input), report };
  return await withTransferRegistry(context, options, (registry) =>
    work({ type: 'bytes', name: safeUrl(url), stream: registry.file(url, { signal }), mayStop: true }),
  );
}

/** Undefined for a path. */
export function archiveUrl({ input }: Context<UrlFlag>, argument: string): URL | undefined {
  if (!/^https?:\/\//i.test(argument)) return undefined;
  if (!URL.canParse(argument)) throw usageError(`"${argument}" is no URL`);
  const url = new URL(argument);
  if (url.username !== '' || url.password !== '')
    throw usageError(
      'a URL with credentials is not taken',
      'Pipe the archive: curl -fL --netrc URL | hawser import -',
    );
  if (url.protocol === 'http:' && !input.get(PLAIN_HTTP))
    throw usageError(
      'an archive comes by https only',
      'Anybody on the way can change what comes by http: with --sha256 and --plain-http it is safe, if the digest is from elsewhere',
    );
  url.hash = '';
  return url;
}
