/** What the index.json of a layout lists. */
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestBytes } from '../oci/digest.ts';
import { parseIndex } from '../oci/documents.ts';
import { asObject, stringField } from '../oci/fields.ts';
import { parseJson } from '../oci/json.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import type { Hashers } from '../ports/hashers.ts';
import { MAX_INDEX_JSON } from './directory-sink.ts';

const MAX_MARK = 4096;

type Read = (name: string, limit: number) => Promise<Uint8Array | undefined>;

/** `read`: a file of the layout; undefined when there is none. InvalidArgument for a layout of another version. */
export async function ociRoots(read: Read, hashers: Hashers): Promise<readonly Descriptor[]> {
  const mark = await read('oci-layout', MAX_MARK);
  if (mark !== undefined) checkVersion(mark);
  const bytes = await read('index.json', MAX_INDEX_JSON);
  if (bytes === undefined) throw new HawserError('InvalidArgument', 'the layout has no index.json');
  const desc = { mediaType: OCI_INDEX, digest: digestBytes(bytes, hashers), size: bytes.length };
  try {
    return parseIndex(bytes, desc).manifests;
  } catch (err) {
    throw wrap('index.json', err);
  }
}

function checkVersion(bytes: Uint8Array): void {
  const where = 'oci-layout:';
  const version =
    stringField(asObject(parseJson(bytes, 'oci-layout'), where), 'imageLayoutVersion', where) ?? '';
  if (/^1\.\d+\.\d+$/.test(version)) return;
  throw new HawserError(
    'InvalidArgument',
    `the layout is of version ${JSON.stringify(version)}, and hawser reads 1.0.0`,
  );
}
