/**
 * Docker's image manifest version 2, schema 1, of which registries still have images from before 2017. It names layers by
 * digest only, and spreads the image's configuration over its history. Rules of containerd 1.6 (remotes/docker/schema1).
 */
import { HawserError } from '../errors.ts';
import type { Digest } from './digest.ts';
import { arrayField, asObject, asString, at, misfit, objectField, stringField } from './fields.ts';
import { type JsonObject, parseJson } from './json.ts';
import { DOCKER_SCHEMA1_UNSIGNED } from './media-types.ts';
import { digestField } from './parse-descriptor.ts';

export const MAX_SCHEMA1_BYTES = 8_000_000;
const MAX_LAYERS = 10_000;
const MAX_WORDS = 10_000;
/** Go's zero time: what containerd writes for a history entry that has none. */
const NO_TIME = '0001-01-01T00:00:00Z';

/** One entry of the history with its blob. */
export interface Schema1Layer {
  readonly blobSum: Digest;
  /** The layer changes nothing: its blob need not be fetched. */
  readonly knownEmpty: boolean;
  readonly created: string;
  readonly createdBy?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
}

export interface Schema1 {
  /** Base first; the document has the newest first. */
  readonly layers: readonly Schema1Layer[];
  /** The newest `v1Compatibility`, from which the image's configuration is made. */
  readonly image: JsonObject;
  /** The manifest's name in messages. */
  readonly where: string;
}

/**
 * The document without its signature (libtrust's "pretty" JWS); the digest is of these bytes. The signature is not checked,
 * because its key comes with it. InvalidArgument for a signed type without signatures.
 */
export function schema1Payload(bytes: Uint8Array<ArrayBuffer>, mediaType: string): Uint8Array<ArrayBuffer> {
  if (mediaType === DOCKER_SCHEMA1_UNSIGNED) return bytes;
  const where = 'schema 1 manifest:';
  const from = asObject(parseJson(bytes, 'schema 1 manifest'), where);
  const first = arrayField(from, 'signatures', where, MAX_LAYERS, asObject)?.[0];
  if (first === undefined) throw misfit(where, 'no signatures');
  const path = at(where, 'signatures[0]');
  const header = asObject(
    parseJson(base64url(stringField(first, 'protected', path), path), path),
    at(path, 'protected'),
  );
  const { formatLength } = header;
  if (typeof formatLength !== 'number' || !Number.isInteger(formatLength) || formatLength < 0) {
    throw misfit(at(path, 'protected.formatLength'), 'must be a whole number');
  }
  if (formatLength > bytes.length) {
    throw misfit(at(path, 'protected.formatLength'), `is ${formatLength}, the document has ${bytes.length}`);
  }
  const tail = base64url(stringField(header, 'formatTail', path), at(path, 'protected.formatTail'));
  const payload = new Uint8Array(formatLength + tail.length);
  payload.set(bytes.subarray(0, formatLength));
  payload.set(tail, formatLength);
  return payload;
}

/** RFC 4648 section 5, with or without padding. */
function base64url(text: string | undefined, where: string): Uint8Array<ArrayBuffer> {
  const bare = (text ?? '').replace(/=+$/, '');
  if (text === undefined || bare.length % 4 === 1 || !/^[A-Za-z0-9_-]*$/.test(bare)) {
    throw misfit(where, 'must be base64url');
  }
  const binary = atob(bare.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** `payload` has been verified against `digest`. InvalidArgument naming the field, also for confused documents. */
export function parseSchema1(payload: Uint8Array, digest: Digest): Schema1 {
  const where = `schema 1 manifest ${digest}:`;
  const from = asObject(parseJson(payload, where.slice(0, -1)), where);
  const keys = new Set(Object.keys(from).map((key) => key.toLowerCase()));
  if (keys.has('layers') || keys.has('manifests') || keys.has('config')) {
    throw misfit(where, 'it is a manifest or an index of another schema too');
  }
  if (from.schemaVersion !== 1) throw misfit(at(where, 'schemaVersion'), 'must be 1');
  const sums = arrayField(from, 'fsLayers', where, MAX_LAYERS, (value, path) =>
    digestField(asObject(value, path).blobSum, at(path, 'blobSum')),
  );
  const history = arrayField(from, 'history', where, MAX_LAYERS, (value, path) => {
    const inner = at(path, 'v1Compatibility');
    const text = asString(asObject(value, path).v1Compatibility, inner);
    return { entry: asObject(parseJson(new TextEncoder().encode(text), inner), inner), path: inner };
  });
  if (sums === undefined || sums.length !== history?.length || history[0] === undefined) {
    throw new HawserError(
      'InvalidArgument',
      `Cannot use ${where.slice(0, -1)}: invalid schema 1 manifest, history and layer mismatch`,
      { hint: 'The manifest is malformed; ask its publisher' },
    );
  }
  const empty = new Map<string, boolean>();
  const layers = history.map(({ entry, path }, index) => {
    const blobSum = sums[index] as Digest;
    const knownEmpty = empty.get(blobSum) ?? saysEmpty(entry, path);
    empty.set(blobSum, knownEmpty);
    return { blobSum, knownEmpty, ...historyOf(entry, path) };
  });
  return { layers: layers.reverse(), image: history[0].entry, where };
}

/** The newest entry that names a blob decides. */
function saysEmpty(entry: JsonObject, where: string): boolean {
  const throwaway = entry.throwaway ?? undefined;
  if (throwaway !== undefined) {
    if (typeof throwaway !== 'boolean') throw misfit(at(where, 'throwaway'), 'must be a boolean');
    return throwaway;
  }
  return entry.Size === 0;
}

function historyOf(entry: JsonObject, where: string): Omit<Schema1Layer, 'blobSum' | 'knownEmpty'> {
  const ran = objectField(entry, 'container_config', where) ?? {};
  const command = arrayField(ran, 'Cmd', at(where, 'container_config'), MAX_WORDS, asString) ?? [];
  return {
    created: timeField(entry, 'created', where) ?? NO_TIME,
    createdBy: command.join(' '),
    author: stringField(entry, 'author', where),
    comment: stringField(entry, 'comment', where),
  };
}

const TIME = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/;

/** An RFC 3339 time as Go writes it: at most nanoseconds, without zeros at the end. */
export function timeField(from: JsonObject, key: string, where: string): string | undefined {
  const text = stringField(from, key, where);
  if (text === undefined) return undefined;
  const match = TIME.exec(text);
  if (match === null || Number.isNaN(Date.parse(text))) {
    throw misfit(at(where, key), 'must be a time as RFC 3339 has it');
  }
  const fraction = (match[2] ?? '').slice(0, 9).replace(/0+$/, '');
  const zone = /^[+-]00:00$/.test(match[3] ?? '') ? 'Z' : match[3];
  return `${match[1]}${fraction === '' ? '' : `.${fraction}`}${zone}`.toUpperCase();
}
