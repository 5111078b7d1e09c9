import { errnoOf, isKind } from '../errors.ts';

const NO_PATH = 'Check the path; a relative one begins at the working directory';
const NO_ARCHIVE =
  'hawser reads OCI image layouts and Docker archives (docker save): directories, or tar archives, plain or compressed; copy one that came damaged or cut short again';

/** What helps where an archive cannot be read, and its error has no hint of its own. */
export function archiveHint(err: unknown): string | undefined {
  const errno = errnoOf(err);
  if (errno !== undefined) return errno === 'ENOENT' || errno === 'ENOTDIR' ? NO_PATH : undefined;
  return isKind(err, 'InvalidArgument', 'DataLoss') ? NO_ARCHIVE : undefined;
}
