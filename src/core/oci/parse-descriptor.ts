import { findError, HawserError, messageOf } from '../errors.ts';
import { decodeBase64 } from './base64.ts';
import type { Descriptor, Platform } from './descriptor.ts';
import { type Digest, parseDigest } from './digest.ts';
import {
  arrayField,
  asObject,
  asString,
  at,
  defined,
  misfit,
  objectField,
  stringField,
  stringMapField,
  wordField,
} from './fields.ts';
import type { Json, JsonObject } from './json.ts';

/** A descriptor of more `urls`, or of longer ones, is refused. */
export const MAX_URLS = 64;
export const MAX_URL_LENGTH = 8192;
const MAX_OS_FEATURES = 256;

/**
 * image-spec descriptor.md. `value` is a member of a parsed document. Ignores unknown fields. `data` is decoded and its
 * length checked against `size`, but not its digest. InvalidArgument, naming `where` and the field.
 */
export function parseDescriptor(value: Json | undefined, where: string): Descriptor {
  const from = asObject(value, where);
  const mediaType = wordField(from, 'mediaType', where);
  if (mediaType === undefined) throw misfit(at(where, 'mediaType'), 'must be a media type');
  const size = sizeOf(from, where);
  return defined({
    mediaType,
    digest: digestField(from.digest, at(where, 'digest')),
    size,
    platform: platformField(from, where),
    annotations: stringMapField(from, 'annotations', where),
    urls: arrayField(from, 'urls', where, MAX_URLS, urlOf),
    data: dataOf(from, where, size),
    artifactType: wordField(from, 'artifactType', where),
  });
}

export function digestField(value: Json | undefined, where: string): Digest {
  const text = asString(value, where);
  try {
    return parseDigest(text);
  } catch (err) {
    throw new HawserError('InvalidArgument', `Cannot use ${where}: ${messageOf(err)}`, {
      cause: err,
      hint: findError(err)?.hint,
    });
  }
}

/**
 * The platform members of an object: a descriptor's `platform`, or a whole image configuration. An absent part of
 * `os` and `architecture` is ''; with neither there is no platform.
 */
export function platformOf(from: JsonObject, where: string): Platform | undefined {
  const os = wordField(from, 'os', where);
  const architecture = wordField(from, 'architecture', where);
  if (os === undefined && architecture === undefined) return undefined;
  const features = arrayField(from, 'os.features', where, MAX_OS_FEATURES, asString);
  return defined({
    os: os ?? '',
    architecture: architecture ?? '',
    variant: wordField(from, 'variant', where),
    osVersion: wordField(from, 'os.version', where),
    osFeatures: features && features.length > 0 ? [...new Set(features)].sort() : undefined,
  });
}

function platformField(from: JsonObject, where: string): Platform | undefined {
  const platform = objectField(from, 'platform', where);
  return platform && platformOf(platform, at(where, 'platform'));
}

function sizeOf(from: JsonObject, where: string): number {
  const size = from.size;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw misfit(at(where, 'size'), 'must be an integer from 0 to 2^53-1');
  }
  return size + 0; // -0 becomes 0
}

function urlOf(value: Json, where: string): string {
  const url = asString(value, where);
  if (url.length > MAX_URL_LENGTH) throw misfit(where, `longer than ${MAX_URL_LENGTH} characters`);
  return url;
}

/** RFC 4648 section 4 with padding (image-spec descriptor.md, `data`). */
function dataOf(from: JsonObject, where: string, size: number): Uint8Array | undefined {
  const text = stringField(from, 'data', where);
  if (text === undefined) return undefined;
  const path = at(where, 'data');
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw misfit(path, 'must be base64');
  if (bytes.length !== size) throw misfit(path, `holds ${bytes.length} bytes where size says ${size}`);
  return bytes;
}
