/** Questions that registries answer by lists: the tags of a repository, the repositories, what refers to a manifest. */
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_CHILDREN, parseDescriptor, parseIndex } from '../oci/documents.ts';
import { arrayField, asString, misfit } from '../oci/fields.ts';
import { type Json, type JsonObject, MAX_JSON_VALUES } from '../oci/json.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { isSuccess, singleHeader, typeOf } from './answer.ts';
import { discard } from './body.ts';
import type { RepositoryClient } from './client.ts';
import { apiUrl, type Host } from './hosts.ts';
import { type Bounds, type Insist, type Listing, openPages, readPages } from './pages.ts';
import { safeUrl } from './redact.ts';
import { referrersTag } from './referrers-tag.ts';
import type { Lists, Referrers, ReferrersRequest } from './registry.ts';
import { type Root, resolveRoot } from './resolver.ts';
import { isDenied, loginHint } from './status.ts';

export interface ListDeps {
  readonly client: (reference: Reference) => RepositoryClient;
  readonly insist: Insist;
}

/** Names asked for in one page: what the large registries allow at most. Those that allow less answer 400, or give less. */
const PAGE = '1000';

/** See `Lists`, and pages.ts for what is refused. */
export function openLists({ client, insist }: ListDeps): Lists {
  return {
    tags: (reference, call = {}) => {
      const of = client(reference);
      return readPages(of, tagsOf(of), insist, call);
    },
    access: async (host, call = {}) => {
      const of = client(noRepository(host));
      await insist(call, () => of.overHosts('catalog', call, (at) => requireAccess(of, at, call)));
    },
    catalog: (host, call = {}) => {
      const of = client(noRepository(host));
      return readPages(of, catalogOf(of), insist, call);
    },
    referrers: (reference, request = {}) => findReferrers({ client, insist }, reference, request),
  };
}

function noRepository(host: string): Reference {
  return { raw: host, name: host, host, repository: '', tag: undefined, digest: undefined };
}

/** distribution-spec, "Determining Support". */
async function requireAccess(client: RepositoryClient, host: Host, call: Call): Promise<void> {
  const response = await client.sendForPage(host, apiUrl(host, ''), {}, call);
  if (isSuccess(response)) return await discard(response.body);
  const err = await client.plainRefusal(response);
  if (!isDenied(response.status)) throw err;
  const message = `${client.reference.host} refuses the credentials: ${err.message}`;
  const hint = 'Check the user, and the password or token and its rights';
  throw new HawserError(err.kind, message, { hint, cause: err, reason: err.reason });
}

const NAMES = { accept: 'application/json', keyOf: (name: string) => name };

function tagsOf(client: RepositoryClient): Listing<string> {
  const { host: registry, repository } = client.reference;
  return {
    ...NAMES,
    operation: 'tags',
    first: (host, narrow) => listUrl(host, `${repository}/tags/list`, narrow),
    read: (document, where) => namesOf(document, 'tags', where),
    refusal: async (response, host) => {
      if (response.status !== 404) return await client.refusal('GET', response, host);
      return absent(await client.plainRefusal(response), `${registry}/${repository}: not found`);
    },
  };
}

function absent(err: HawserError, message: string): HawserError {
  return new HawserError('NotFound', message, { hint: loginHint(), cause: err, reason: err.reason });
}

/** Statuses of registries that list their repositories to nobody, or not to this account. */
const NO_CATALOG: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 501]);

function catalogOf(client: RepositoryClient): Listing<string> {
  return {
    ...NAMES,
    operation: 'catalog',
    first: (host, narrow) => listUrl(host, '_catalog', narrow),
    read: (document, where) => namesOf(document, 'repositories', where),
    refusal: async (response) => {
      const err = await client.plainRefusal(response);
      if (!NO_CATALOG.has(response.status)) return err;
      const message = `${client.reference.host} does not list its repositories: ${err.message}`;
      const hint =
        'Many registries list them to nobody, Docker Hub among them, or only to an account of the operator (--user NAME)';
      return new HawserError(err.kind, message, { hint, cause: err, reason: err.reason });
    },
  };
}

function listUrl(host: Host, path: string, narrow: boolean): URL {
  const url = apiUrl(host, path);
  if (!narrow) url.searchParams.set('n', PAGE);
  return url;
}

/** Registries have names beyond the grammar of today; blanks and what a terminal obeys are in none. */
const NAME = /^[\x21-\x7e]{1,255}$/;

function namesOf(document: JsonObject, key: string, where: string): readonly string[] {
  const nameOf = (value: Json, path: string): string => {
    const name = asString(value, path);
    if (!NAME.test(name)) throw misfit(path, 'must be printable ASCII of at most 255 characters');
    return name;
  };
  if (!(key in document)) throw misfit(where, `it has no "${key}"`);
  return arrayField(document, key, where, MAX_JSON_VALUES, nameOf) ?? [];
}

async function findReferrers(
  deps: ListDeps,
  reference: Reference,
  request: ReferrersRequest,
): Promise<Referrers> {
  const { insist } = deps;
  const client = deps.client(reference);
  const { descriptor: subject } = await insist(request, () => resolveRoot(client, request));
  const listing = referrersOf(client, subject.digest, request.artifactType);
  // Only at the first page: a list that breaks off is an error.
  const first = await ifFound(openPages(client, listing, insist, request));
  if (first !== undefined)
    return {
      subject,
      source: 'api',
      referrers: await readPages(client, listing, insist, request, first),
    };
  return { subject, source: 'tag', referrers: await taggedReferrers(deps, reference, subject, request) };
}

/** Statuses of registries without the API: the specification has 404 only, older registries find the path malformed. */
const NO_API: ReadonlySet<number> = new Set([400, 404, 405, 406]);

export function referrersOf(
  client: RepositoryClient,
  digest: Digest,
  artifactType: string | undefined,
  bounds?: Pick<Bounds, 'pages' | 'page'>,
): Listing<Descriptor> {
  return {
    bounds: bounds && { ...bounds, empty: ({ base }) => noApi({ url: base, status: 404 }) },
    operation: 'referrers',
    accept: OCI_INDEX,
    first: (host) => {
      const url = apiUrl(host, `${client.reference.repository}/referrers/${digest}`);
      if (artifactType !== undefined) url.searchParams.set('artifactType', artifactType);
      return url;
    },
    isOther: (response) => typeOf(response) !== OCI_INDEX,
    read: (document, where, response) => {
      const all = arrayField(document, 'manifests', where, MAX_CHILDREN, parseDescriptor) ?? [];
      return isFiltered(response) ? all : ofType(all, artifactType);
    },
    refusal: async (response, host) => {
      if (!isSuccess(response) && !NO_API.has(response.status))
        return await client.refusal('GET', response, host);
      await discard(response.body);
      return noApi(response);
    },
    keyOf: (one) => one.digest,
  };
}

function noApi({ url, status }: Pick<HttpResponse, 'url' | 'status'>): HawserError {
  return new HawserError('NotFound', `GET ${safeUrl(url)}: no list of referrers`, {
    reason: { type: 'status', status },
  });
}

/** The registry has left out other types (distribution-spec, OCI-Filters-Applied). */
function isFiltered(response: HttpResponse): boolean {
  const applied = singleHeader(response, 'oci-filters-applied') ?? '';
  return applied.split(',').some((one) => one.trim().toLowerCase() === 'artifacttype');
}

function ofType(all: readonly Descriptor[], artifactType: string | undefined): readonly Descriptor[] {
  return artifactType === undefined ? all : all.filter((one) => one.artifactType === artifactType);
}

/** The index that those who push keep under a tag where the registry has no API for that. */
async function taggedReferrers(
  { client, insist }: ListDeps,
  reference: Reference,
  subject: Descriptor,
  { artifactType, ...call }: ReferrersRequest,
): Promise<readonly Descriptor[]> {
  const tagged = taggedReference(reference, referrersTag(subject.digest));
  const asked: Call & { read: true } = { ...call, read: true };
  const root: Root | undefined = await ifFound(insist(call, () => resolveRoot(client(tagged), asked)));
  if (root?.bytes === undefined) return [];
  return ofType(parseIndex(root.bytes, root.descriptor).manifests, artifactType);
}

/** Another tag of the same repository. */
export function taggedReference(reference: Reference, tag: string): Reference {
  const { host, repository } = reference;
  return { ...reference, name: `${host}/${repository}:${tag}`, tag, digest: undefined };
}
