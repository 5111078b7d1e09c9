/** The lists of other tools, each as its documentation has it: a row a form. */
import { isMapping, type Mapping, textOf } from './fields.ts';
import { addImageKeys } from './kubernetes.ts';
import type { ListBuilder } from './list.ts';

interface Form {
  readonly fits: (document: Mapping) => boolean;
  readonly add: (list: ListBuilder, document: Mapping, at: string) => void;
}

const HAULER = 'content.hauler.cattle.io/';
const NO_TAGS = 'hawser asks no registry for its tags; name them';

const FORMS: readonly Form[] = [
  { fits: ({ apiVersion }) => textOf(apiVersion)?.startsWith(HAULER) === true, add: addHauler },
  {
    fits: ({ apiVersion, kind }) => textOf(apiVersion) !== undefined && textOf(kind) !== undefined,
    add: addImageKeys,
  },
  { fits: ({ sync }) => Array.isArray(sync), add: addRegsync },
  { fits: (document) => Object.values(document).every(isSkopeoHost), add: addSkopeo },
];

/** One YAML document. A document in no known form is an error of the list. */
export function addDocument(list: ListBuilder, document: unknown, at: string): void {
  const form = isMapping(document) ? FORMS.find(({ fits }) => fits(document)) : undefined;
  if (form !== undefined && isMapping(document)) form.add(list, document, at);
  else
    list.refuse(
      at,
      'this is no list that hawser knows',
      'hawser reads plain lines, skopeo sync, regsync, hauler, Kubernetes manifests and its own images.lock',
    );
}

function isSkopeoHost(value: unknown): boolean {
  return (
    isMapping(value) &&
    ['images', 'images-by-tag-regex', 'images-by-semver'].some((key) => isMapping(value[key]))
  );
}

/** skopeo-sync(1): host to repositories to tags or digests. */
function addSkopeo(list: ListBuilder, document: Mapping, at: string): void {
  for (const [host, settings] of Object.entries(document)) {
    if (!isMapping(settings)) continue;
    tellUnused(list, host, settings, at);
    const images = isMapping(settings.images) ? settings.images : {};
    for (const [repository, tags] of Object.entries(images))
      addTags(list, `${host}/${repository}`, Array.isArray(tags) ? tags : [], at);
  }
}

function tellUnused(list: ListBuilder, host: string, settings: Mapping, at: string): void {
  for (const key of ['images-by-tag-regex', 'images-by-semver'])
    if (settings[key] !== undefined) list.refuse(at, `${key} of ${host}: ${NO_TAGS}`);
  if (settings.credentials !== undefined)
    list.warn(at, `credentials of ${host} are not used; hawser takes those of docker login, or --user`);
  if (settings['tls-verify'] === false || settings['cert-dir'] !== undefined)
    list.warn(at, `TLS settings of ${host} are not used; hawser takes those of hosts.toml`);
}

function addTags(list: ListBuilder, repository: string, tags: readonly unknown[], at: string): void {
  if (tags.length === 0) list.refuse(at, `${repository} without tags stands for all tags: ${NO_TAGS}`);
  for (const tag of tags.map(String)) list.add(`${repository}${tag.includes(':') ? '@' : ':'}${tag}`, at);
}

/** regclient's regsync, without templates and without what needs a list of tags. */
function addRegsync(list: ListBuilder, { sync, creds }: Mapping, at: string): void {
  if (creds !== undefined) list.warn(at, 'creds are not used; hawser takes those of docker login, or --user');
  for (const [index, entry] of (sync as readonly unknown[]).entries()) {
    const place = `${at}, sync ${index + 1}`;
    const source = isMapping(entry) ? textOf(entry.source) : undefined;
    if (!isMapping(entry) || source === undefined) list.refuse(place, 'it has no source');
    else if (source.includes('{{')) list.refuse(place, 'templates are not expanded', 'Write the source out');
    else if (entry.type !== 'image')
      list.refuse(place, `type ${String(entry.type)}: ${NO_TAGS}, each with type image`);
    else list.add(source, place, platformsOf(entry));
  }
}

function platformsOf({ platform, platforms }: Mapping): string[] | undefined {
  const all = [platform, ...(Array.isArray(platforms) ? platforms : [])];
  const texts = all.map(textOf).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts;
}

/** hauler's manifests of kind Images. An annotation of the document holds where the image has no value of its own. */
function addHauler(list: ListBuilder, { kind, metadata, spec }: Mapping, at: string): void {
  if (kind !== 'Images') {
    list.warn(at, `kind ${String(kind)} is left out: hawser takes images only`);
    return;
  }
  const annotations = isMapping(metadata) && isMapping(metadata.annotations) ? metadata.annotations : {};
  const [registry, platform] = ['registry', 'platform'].map((key) =>
    textOf(annotations[`hauler.dev/${key}`]),
  );
  const images = isMapping(spec) && Array.isArray(spec.images) ? spec.images : [];
  for (const [index, image] of images.entries()) {
    const place = `${at}, image ${index + 1}`;
    const name = isMapping(image) ? textOf(image.name) : undefined;
    if (!isMapping(image) || name === undefined) {
      list.refuse(place, 'it has no name');
      continue;
    }
    if (image.key !== undefined)
      list.refuse(place, 'a signature is asked for, which hawser cannot check', 'Leave key away');
    else
      list.add(
        withHost(name, registry),
        place,
        platformsOf({ platform: textOf(image.platform) ?? platform }),
      );
  }
}

/** The default registry is for names whose first component is no host (as reference/parse.ts tells hosts). */
function withHost(name: string, registry: string | undefined): string {
  const first = name.includes('/') ? name.slice(0, name.indexOf('/')) : '';
  return registry === undefined || first === 'localhost' || /[.:]/.test(first) ? name : `${registry}/${name}`;
}
