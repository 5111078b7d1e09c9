import type { Descriptor, Platform } from './descriptor.ts';
import type { Digest } from './digest.ts';
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
} from './fields.ts';
import { type Json, type JsonObject, MAX_JSON_VALUES, parseJson } from './json.ts';
import { digestField, platformOf } from './parse-descriptor.ts';

/** Bytes. A larger configuration is refused. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024;
const MAX_DIFF_IDS = 10_000;

/** One entry of `history`. With `emptyLayer` the entry has no diff ID. */
export interface HistoryEntry {
  /** RFC 3339; not checked. */
  readonly created?: string | undefined;
  /** The command that made the layer. */
  readonly createdBy?: string | undefined;
  /** Who made the layer. */
  readonly author?: string | undefined;
  /** A remark. */
  readonly comment?: string | undefined;
  /** The step changed no file. */
  readonly emptyLayer: boolean;
}

/** What a container made of the image runs, under the specification's names. Not interpreted: text of the image's author. */
export interface RunConfig {
  /** A user, and a group behind a colon: names or numbers. */
  readonly User?: string | undefined;
  /** `NAME=value`. */
  readonly Env?: readonly string[] | undefined;
  /** The command and its first arguments. */
  readonly Entrypoint?: readonly string[] | undefined;
  /** More arguments; without an entrypoint the command. */
  readonly Cmd?: readonly string[] | undefined;
  /** The directory in which the command starts. */
  readonly WorkingDir?: string | undefined;
  /** Without a prototype. */
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  /** `SIGTERM`. */
  readonly StopSignal?: string | undefined;
  /** The keys: `80/tcp`. */
  readonly ExposedPorts?: readonly string[] | undefined;
  /** The keys: paths. */
  readonly Volumes?: readonly string[] | undefined;
}

/** image-spec config.md. Artifacts may have `{}` here, hence no platform, '' as `rootfsType` and no diff IDs. */
export interface ImageConfig {
  /** What the image runs on. */
  readonly platform?: Platform | undefined;
  /** `layers`. */
  readonly rootfsType: string;
  /** The digests of the layers' archives, decompressed, the lowest first. */
  readonly diffIds: readonly Digest[];
  /** How the image was made, the oldest step first. */
  readonly history: readonly HistoryEntry[];
  /** What a container runs. */
  readonly config: RunConfig;
  /** RFC 3339; not checked. */
  readonly created?: string | undefined;
  /** Who made the image. */
  readonly author?: string | undefined;
}

/** `bytes` are a verified blob, `desc` its descriptor. InvalidArgument, naming the digest and the field. */
export function parseConfig(bytes: Uint8Array, desc: Descriptor): ImageConfig {
  const where = `config ${desc.digest}:`;
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw misfit(where, `it has ${bytes.length} bytes, more than ${MAX_CONFIG_BYTES}`);
  }
  const from = asObject(parseJson(bytes, where.slice(0, -1)), where);
  const rootfs = objectField(from, 'rootfs', where) ?? {};
  const below = at(where, 'rootfs');
  return defined({
    platform: platformOf(from, where),
    rootfsType: stringField(rootfs, 'type', below) ?? '',
    diffIds: arrayField(rootfs, 'diff_ids', below, MAX_DIFF_IDS, digestField) ?? [],
    history: arrayField(from, 'history', where, MAX_JSON_VALUES, parseHistory) ?? [],
    config: parseRunConfig(objectField(from, 'config', where) ?? {}, at(where, 'config')),
    created: stringField(from, 'created', where),
    author: stringField(from, 'author', where),
  });
}

function parseHistory(value: Json, where: string): HistoryEntry {
  const from = asObject(value, where);
  const empty = from.empty_layer ?? false;
  if (typeof empty !== 'boolean') throw misfit(at(where, 'empty_layer'), 'must be a boolean');
  return defined({
    created: stringField(from, 'created', where),
    createdBy: stringField(from, 'created_by', where),
    author: stringField(from, 'author', where),
    comment: stringField(from, 'comment', where),
    emptyLayer: empty,
  });
}

function parseRunConfig(from: JsonObject, where: string): RunConfig {
  return defined({
    User: stringField(from, 'User', where),
    Env: arrayField(from, 'Env', where, MAX_JSON_VALUES, asString),
    Entrypoint: command(from, 'Entrypoint', where),
    Cmd: command(from, 'Cmd', where),
    WorkingDir: stringField(from, 'WorkingDir', where),
    Labels: stringMapField(from, 'Labels', where),
    StopSignal: stringField(from, 'StopSignal', where),
    ExposedPorts: keys(from, 'ExposedPorts', where),
    Volumes: keys(from, 'Volumes', where),
  });
}

/** Docker reads a lone string as a list of one. */
function command(from: JsonObject, key: string, where: string): readonly string[] | undefined {
  const value = from[key];
  return typeof value === 'string' ? [value] : arrayField(from, key, where, MAX_JSON_VALUES, asString);
}

function keys(from: JsonObject, key: string, where: string): readonly string[] | undefined {
  const map = objectField(from, key, where);
  return map && Object.keys(map);
}
