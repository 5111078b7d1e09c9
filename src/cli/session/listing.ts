import type { Listing, OpenImage } from '../../core/verbs/files.ts';
import { filesJson, filesText } from '../render/files.ts';
import type { Context } from './context.ts';

/** Characters that are written at once. */
const BATCH = 1 << 16;

/** Writes a listing to standard output, piece by piece. */
export async function writeListing(
  { stdout, signal }: Pick<Context, 'stdout' | 'signal'>,
  { name, platform }: OpenImage,
  listing: Listing,
  { long, json }: { readonly long: boolean; readonly json: boolean },
): Promise<void> {
  const listed = { name, platform, ...listing };
  let batch = '';
  for (const line of json ? filesJson(listed) : filesText(listed, long)) {
    batch += line;
    if (batch.length < BATCH) continue;
    signal.throwIfAborted();
    await stdout.write(batch);
    batch = '';
  }
  if (batch !== '') await stdout.write(batch);
}
