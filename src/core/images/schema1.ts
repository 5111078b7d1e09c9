/** Converts an image of Docker's schema 1 to an OCI image, with the bytes that containerd 1.6 makes. Pure. */
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestBytes } from '../oci/digest.ts';
import { arrayField, asString, at, objectField, stringField, stringMapField } from '../oci/fields.ts';
import { type JsonObject, MAX_JSON_VALUES } from '../oci/json.ts';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-types.ts';
import { type Schema1, timeField } from '../oci/schema1.ts';
import type { Hashers } from '../ports/hashers.ts';

/** Label of a layer, beside `containerd.io/uncompressed`: whether it is empty. With both the layer is not read again. */
export const EMPTY_LAYER_LABEL = 'containerd.io/docker.schema1.empty-layer';
/** Label of the image record: the digest at the registry. */
export const CONVERTED_LABEL = 'io.containerd.image/converted-docker-schema1';

/** The facts of a layer's blob. An empty layer is not fetched. */
export type LayerState =
  | { readonly empty: true }
  | { readonly empty: false; readonly desc: Descriptor; readonly diffId: Digest };

export interface Converted {
  readonly config: Descriptor;
  readonly configBytes: Uint8Array;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
}

export function convert(
  schema1: Schema1,
  state: (blobSum: Digest) => LayerState,
  hashers: Hashers,
): Converted {
  const diffIds: Digest[] = [];
  const layers: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>[] = [];
  const history = schema1.layers.map(({ blobSum, created, createdBy, author, comment }) => {
    const found = state(blobSum);
    if (!found.empty) {
      const { mediaType, digest, size } = found.desc;
      layers.push({ mediaType, digest, size });
      diffIds.push(found.diffId);
    }
    const texts = { created, created_by: createdBy, author, comment };
    return { ...filled(texts), ...(found.empty ? { empty_layer: true } : {}) };
  });
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const configBytes = goIndented({ ...imageMembers(schema1), rootfs, history });
  const config = describe(OCI_CONFIG, configBytes, hashers);
  const manifestBytes = goIndented({ schemaVersion: 2, config, layers });
  return { config, configBytes, manifest: describe(OCI_MANIFEST, manifestBytes, hashers), manifestBytes };
}

/** The members of image-spec's configuration, in the order of its Go struct; others are dropped. */
function imageMembers({ image, where }: Schema1): object {
  const text = (key: string): string | undefined => stringField(image, key, where);
  return {
    ...filled({ created: timeField(image, 'created', where), author: text('author') }),
    architecture: text('architecture') ?? '',
    ...filled({ variant: text('variant') }),
    os: text('os') ?? '',
    ...filled({
      'os.version': text('os.version'),
      'os.features': arrayField(image, 'os.features', where, MAX_JSON_VALUES, asString),
    }),
    config: runMembers(objectField(image, 'config', where) ?? {}, at(where, 'config')),
  };
}

function runMembers(from: JsonObject, where: string): object {
  const list = (key: string) => arrayField(from, key, where, MAX_JSON_VALUES, asString);
  const labels = stringMapField(from, 'Labels', where);
  return filled({
    User: stringField(from, 'User', where),
    ExposedPorts: sortedSet(from, 'ExposedPorts', where),
    Env: list('Env'),
    Entrypoint: list('Entrypoint'),
    Cmd: list('Cmd'),
    Volumes: sortedSet(from, 'Volumes', where),
    WorkingDir: stringField(from, 'WorkingDir', where),
    Labels: labels && Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))),
    StopSignal: stringField(from, 'StopSignal', where),
    ArgsEscaped: from.ArgsEscaped === true ? true : undefined,
  });
}

function sortedSet(from: JsonObject, key: string, where: string): object | undefined {
  const keys = Object.keys(objectField(from, key, where) ?? {}).sort();
  return Object.fromEntries(keys.map((name) => [name, {}]));
}

/** Leaves out the members that Go's `omitempty` leaves out. */
function filled(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => {
      if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
      return value !== undefined && value !== '';
    }),
  );
}

/** The output of Go's json.MarshalIndent with three blanks: `<`, `>`, `&`, U+2028 and U+2029 escaped, no `\b` or `\f`. */
function goIndented(value: object): Uint8Array {
  const text = JSON.stringify(value, undefined, 3)
    .replace(/\\[\s\S]/g, (pair) => (pair === '\\b' ? '\\u0008' : pair === '\\f' ? '\\u000c' : pair))
    .replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return new TextEncoder().encode(text);
}

function describe(mediaType: string, bytes: Uint8Array, hashers: Hashers): Descriptor {
  return { mediaType, digest: digestBytes(bytes, hashers), size: bytes.length };
}
