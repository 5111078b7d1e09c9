/**
 * The image of a directory that skopeo's transport `dir:` wrote (containers-transports(5)): manifest.json is the manifest or the index, and
 * each other document and blob has the hex digits of its digest for a name.
 */
import { visible } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { type Digest, digestBytes, isDigest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { BlobFiles } from '../reference/reference.ts';
import { readArchived } from './archive-blobs.ts';
import type { ArchivedImage } from './import-names.ts';
import type { Archive } from './members.ts';

const MANIFEST = 'manifest.json';
const MAX_VERSION = 256;
const MAX_FILES = 100_000;
/** Digests of another algorithm than sha256 begin with its name. `.manifest.json`: a manifest of the index. */
const BLOB = /^(?:(sha384|sha512)-)?([0-9a-f]{64,128})(?:\.manifest\.json)?$/;

/** The one image that there is, without a name. InvalidArgument for another directory. */
export async function dirImage(
  archive: Archive,
  hashers: Hashers,
  call: Call,
): Promise<ArchivedImage & { readonly files: BlobFiles }> {
  const read = (name: string, limit: number) => readArchived(archive, undefined, name, limit, call);
  checkVersion(await read('version', MAX_VERSION));
  const bytes = await read(MANIFEST, MAX_MANIFEST_BYTES);
  if (bytes === undefined) throw noDirectory(`it has no ${MANIFEST}`);
  const mediaType = documentType(bytes, '');
  if (mediaType === undefined || !(isManifestType(mediaType) || isIndexType(mediaType)))
    throw noDirectory(`its ${MANIFEST} is no manifest of an image`);
  const digest = digestBytes(bytes, hashers);
  const files = new Map<Digest, string>([...(await blobsOf(archive, call)), [digest, MANIFEST]]);
  return { target: { mediaType, digest, size: bytes.length }, names: [], files };
}

function noDirectory(why: string): HawserError {
  return new HawserError('InvalidArgument', why, {
    hint: 'dir:DIR reads what skopeo wrote to dir:DIR; a layout is oci:DIR, an archive of docker save docker-archive:FILE',
  });
}

/** skopeo writes 1.1; it reads directories without the file. */
function checkVersion(bytes: Uint8Array | undefined): void {
  const text = bytes === undefined ? '' : new TextDecoder().decode(bytes).trim();
  if (bytes === undefined || /^Directory Transport Version: 1\.\d+$/.test(text)) return;
  throw new HawserError('InvalidArgument', `its file version says ${JSON.stringify(visible(text))}`, {
    hint: 'hawser reads version 1 of the directories of skopeo',
  });
}

async function blobsOf(archive: Archive, call: Call): Promise<Map<Digest, string>> {
  const files = new Map<Digest, string>();
  for (const name of await archive.names(call)) {
    const [, algorithm = 'sha256', hex = ''] = BLOB.exec(name) ?? [];
    const digest = `${algorithm}:${hex}`;
    if (isDigest(digest)) files.set(digest, name);
    if (files.size > MAX_FILES)
      throw new HawserError('ResourceExhausted', `it has more than ${MAX_FILES} files`);
  }
  return files;
}
