/** Documents of a layout that are added to those of a layout that is there. The latter are hostile. */
import { asObject, misfit } from '../oci/fields.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';

/** The document that takes the place of `old`. InvalidArgument for an old one that has another form. */
export function mergedDocument(name: string, old: Uint8Array | undefined, added: Uint8Array): Uint8Array {
  if (old === undefined) return added;
  if (name === 'index.json') return mergedIndex(old, added);
  return name === 'manifest.json' ? mergedManifests(old, added) : added;
}

/** Members of an index (image-spec image-index.md) that stay as they were. */
const INDEX_MEMBERS: readonly string[] = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'subject',
  'annotations',
];
/** Members of an entry of Docker's manifest.json. */
const DOCKER_MEMBERS: readonly string[] = ['Config', 'RepoTags', 'Layers', 'Parent', 'LayerSources'];

/** The entries of both; one of the old whose name a new one has is dropped. */
function mergedIndex(old: Uint8Array, added: Uint8Array): Uint8Array {
  const [before, now] = [old, added].map((bytes) => asObject(parseJson(bytes, 'index.json'), 'index.json:'));
  const entriesOf = (from: JsonObject | undefined) => (from?.manifests ?? []) as readonly JsonObject[];
  const names = new Set(entriesOf(now).flatMap(namesOf));
  const kept = entriesOf(before).filter((entry) => !namesOf(entry).some((name) => names.has(name)));
  const manifests = [...kept, ...entriesOf(now).map((entry) => withOwnRefName(entry, kept))];
  return encoded({ ...membersOf(before ?? {}, INDEX_MEMBERS), manifests });
}

/** Prefixed, as a tag is another thing than a full name. */
function namesOf({ annotations }: JsonObject): string[] {
  const map = (annotations ?? {}) as JsonObject;
  const [name, ref] = [map[IMAGE_NAME], map[REF_NAME]];
  if (typeof name === 'string') return [`name ${name}`];
  return typeof ref === 'string' ? [`ref ${ref}`] : [];
}

/** The full name for a ref.name where another image that is there has the tag (see `refNames`). */
function withOwnRefName(entry: JsonObject, kept: readonly JsonObject[]): JsonObject {
  const annotations = (entry.annotations ?? {}) as JsonObject;
  const isTaken = kept.some(
    (other) =>
      ((other.annotations ?? {}) as JsonObject)[REF_NAME] === annotations[REF_NAME] &&
      other.digest !== entry.digest,
  );
  const name = annotations[IMAGE_NAME];
  return isTaken && name !== undefined
    ? { ...entry, annotations: { ...annotations, [REF_NAME]: name } }
    : entry;
}

/** The entries of both; a tag that a new one has is taken from the old, which goes with its last tag. */
function mergedManifests(old: Uint8Array, added: Uint8Array): Uint8Array {
  const [before, now] = [dockerEntries(old), dockerEntries(added)];
  const tags = new Set(now.flatMap(tagsOf));
  const configs = new Set(now.map(({ Config }) => Config));
  const kept = before.flatMap((entry) => {
    const left = tagsOf(entry).filter((tag) => !tags.has(tag));
    const isGone = left.length === 0 && (tagsOf(entry).length > 0 || configs.has(entry.Config));
    return isGone ? [] : [{ ...membersOf(entry, DOCKER_MEMBERS), RepoTags: left }];
  });
  return encoded([...kept, ...now]);
}

function dockerEntries(bytes: Uint8Array): JsonObject[] {
  const list = parseJson(bytes, 'manifest.json');
  if (!Array.isArray(list)) throw misfit('manifest.json:', 'must be a list');
  return (list as readonly Json[]).map((one) => asObject(one, 'manifest.json:'));
}

function tagsOf({ RepoTags }: JsonObject): readonly Json[] {
  return Array.isArray(RepoTags) ? RepoTags : [];
}

function membersOf(from: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

function encoded(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
