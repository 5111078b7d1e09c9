/** Lists of the test registry: tags and repositories in pages, referrers by the subjects of its manifests. */
import type { Answer } from './faults.ts';
import { contentOf } from './faults.ts';

interface Documents {
  readonly manifests: ReadonlyMap<
    string,
    { readonly mediaType: string; readonly digest: string; readonly content: { readonly size: number } }
  >;
}

export interface ListOptions {
  /** Entries of a page at most. Default: no limit. */
  readonly page?: number;
  /** Has the referrers API; `filters`: leaves out other artifact types, and says so; `annotations`: lists those of the manifests. */
  readonly referrers?: { readonly filters: boolean; readonly annotations?: boolean } | undefined;
}

/** The names after `last`, at most `n`, with a link to the next page. */
export function namesPage(
  url: URL,
  key: 'tags' | 'repositories',
  all: readonly string[],
  page?: number,
): Answer {
  const asked = Number(url.searchParams.get('n') ?? Number.POSITIVE_INFINITY);
  const size = Math.min(asked, page ?? asked);
  const last = url.searchParams.get('last') ?? '';
  const left = [...all].sort().filter((name) => name > last);
  const names = left.slice(0, size);
  const headers: [string, string][] = [['Content-Type', 'application/json']];
  if (names.length < left.length) {
    const next = new URL(url);
    next.searchParams.set('last', names.at(-1) ?? '');
    headers.push(['Link', `<${next.pathname}${next.search}>; rel="next"`]);
  }
  return { status: 200, headers, content: contentOf(JSON.stringify({ name: 'x', [key]: names })) };
}

/** The manifests whose subject is `digest`, by `documents` (the parsed manifests by digest). */
export function referrersPage(
  url: URL,
  { manifests }: Documents,
  parsed: ReadonlyMap<string, Record<string, unknown>>,
  digest: string,
  { page, referrers }: ListOptions,
): Answer {
  const type = url.searchParams.get('artifactType');
  const filters = referrers?.filters === true && type !== null;
  const found = [...parsed].flatMap(([own, document]) => {
    const manifest = manifests.get(own);
    const subject = document.subject as { digest?: string } | undefined;
    if (manifest === undefined || subject?.digest !== digest) return [];
    const artifactType = document.artifactType as string | undefined;
    if (filters && artifactType !== type) return [];
    const annotations = referrers?.annotations === true ? document.annotations : undefined;
    return [
      { mediaType: manifest.mediaType, digest: own, size: manifest.content.size, artifactType, annotations },
    ];
  });
  const from = Number(url.searchParams.get('from') ?? 0);
  const shown = found.slice(from, from + (page ?? found.length));
  const headers: [string, string][] = [['Content-Type', 'application/vnd.oci.image.index.v1+json']];
  if (filters) headers.push(['OCI-Filters-Applied', 'artifactType']);
  if (from + shown.length < found.length) {
    const next = new URL(url);
    next.searchParams.set('from', String(from + shown.length));
    headers.push(['Link', `<${next.pathname}${next.search}>; rel=next`]);
  }
  const index = { schemaVersion: 2, mediaType: headers[0]?.[1], manifests: shown };
  return { status: 200, headers, content: contentOf(JSON.stringify(index)) };
}
