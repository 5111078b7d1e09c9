/** `resolve --explain`: the decisions of the registry client and the answers it met, as text and as JSON. */
import type { HostSummary, RegistryEvent } from '../../core/registry/observe.ts';
import type { ExplainedError, ExplainedVerdict, Explanation } from '../views/explanation.ts';
import { goJson, type Json } from './go-json.ts';
import { redact, safe } from './text.ts';
import { exchange, milliseconds } from './trace.ts';
import { howVouched } from './verified.ts';

type Event<T extends RegistryEvent['type']> = RegistryEvent & { readonly type: T };

function ofType<T extends RegistryEvent['type']>(events: readonly RegistryEvent[], type: T): Event<T>[] {
  return events.filter((event): event is Event<T> => event.type === type);
}

/**
 * URLs of hosts and requests come without secrets (`safeUrl`) and keep `scope` and `service`; texts are redacted here.
 * Sections, each of a heading and indented lines; sections without lines are left out.
 */
export function renderExplanation({
  name,
  events,
  root,
  manifests = [],
  error,
  verdict,
}: Explanation): string {
  const outcome =
    root === undefined
      ? [`failed: ${redact(error?.message ?? 'no answer')}`]
      : [described(root), ...manifests.map(({ platform, desc }) => `${platform}: ${described(desc)}`)];
  const sections: [string, readonly string[]][] = [
    [`reference ${name}`, []],
    ...ofType(events, 'hosts').map(({ namespace, source, hosts }): [string, string[]] => [
      `hosts for ${namespace} (from ${source})`,
      hosts.map((host, at) => `${at + 1}. ${hostLine(host)}`),
    ]),
    ['credentials', ofType(events, 'credential').map(credentialLine)],
    ['attempts', events.flatMap(attemptLines)],
    ['requests', ofType(events, 'request').map(exchange)],
    ['rate limits', rateLimits(events)],
    ['warnings', ofType(events, 'warning').map(({ message }) => redact(message))],
    ['result', outcome],
    ['verdict', verdict === undefined ? [] : verdictLines(verdict)],
  ];
  return sections
    .filter(([heading, lines]) => lines.length > 0 || heading.startsWith('reference '))
    .flatMap(([heading, lines]) => [heading, ...lines.map((line) => `  ${line}`)])
    .map((line) => `${safe(line)}\n`)
    .join('');
}

/** What a pull would do. */
function verdictLines(verdict: ExplainedVerdict): string[] {
  if (!verdict.accepted) return [`the image may not come in: ${redact(verdict.error.message)}`];
  const { verified } = verdict;
  if (verified.length === 0) return ['the image may come in, and nobody vouches for it'];
  return verified.map(({ by, vouchers }) => redact(`verified: ${howVouched(vouchers)} (${by})`));
}

function described({ mediaType, digest, size }: NonNullable<Explanation['root']>): string {
  return `${mediaType} ${digest} ${size} bytes`;
}

function hostLine(host: HostSummary): string {
  const more = [
    ...(host.mirror ? ['mirror'] : []),
    `may ${host.capabilities.join(', ') || 'nothing'}`,
    host.proxy === undefined ? 'no proxy' : `through the proxy ${host.proxy}`,
    ...(host.skipVerify ? ['certificates not checked'] : []),
    ...(host.clientCertificate ? ['client certificate'] : []),
    ...(host.headers.length > 0 ? [`adds ${host.headers.join(', ')}`] : []),
  ];
  return `${host.url}: ${more.join('; ')}`;
}

function credentialLine({ host, source }: Event<'credential'>): string {
  return `${host}: ${source === undefined ? 'none, asked anonymously' : `from ${source}`}`;
}

function attemptLines(event: RegistryEvent): string[] {
  if (event.type === 'passed') return [`${event.url}: not asked to ${event.operation}: ${event.reason}`];
  if (event.type !== 'attempt') return [];
  const took = milliseconds(event.milliseconds);
  if (event.reason === undefined) return [`${event.url}: answered in ${took}`];
  const code = event.code === undefined ? '' : ` (${event.code})`;
  return [`${event.url}: left after ${took}: ${redact(event.reason)}${code}`];
}

/** The last values that each host sent. */
function rateLimits(events: readonly RegistryEvent[]): string[] {
  const said = new Map<string, string>();
  for (const { url, limits } of ofType(events, 'request')) {
    for (const [name, value] of Object.entries(limits ?? {})) {
      const { host } = new URL(url);
      said.set(`${host}: ${name}`, value);
    }
  }
  return [...said].map(([name, value]) => `${name} ${value}`);
}

/** `{"v":1,"type":"resolved","name":...,"root":{...}}`, with `platforms` where some were asked for, and `verdict` where somebody was asked; or with `error`. `explained`: with all events. */
export function renderExplanationJson(
  { name, events, root, manifests, error, verdict }: Explanation,
  explained: boolean,
): string {
  const document: Record<string, Json | undefined> = {
    ...{ v: 1, type: 'resolved' },
    name,
    root: root && fields(root),
    platforms: manifests?.map(({ platform, desc }) => ({ platform, ...fields(desc) })),
    error: error && failure(error),
    verdict: verdict && verdictFields(verdict),
    events: explained ? events.map((event) => redacted(event as unknown as Json)) : undefined,
  };
  return `${goJson(document, 2)}\n`;
}

function failure({ kind, message, hint }: ExplainedError) {
  return { kind, message: redact(message), hint };
}

function verdictFields(verdict: ExplainedVerdict): Json {
  if (!verdict.accepted) return { accepted: false, error: failure(verdict.error) };
  const { verified } = verdict;
  const vouchers = verified.flatMap((one) => one.vouchers.map((voucher) => ({ ...voucher })));
  return { accepted: true, by: verified.map(({ by }) => by), verified: vouchers };
}

function fields({ mediaType, digest, size }: NonNullable<Explanation['root']>) {
  return { mediaType, digest, size };
}

function redacted(value: Json): Json {
  if (typeof value === 'string') return redact(value);
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(redacted);
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, member === undefined ? member : redacted(member)]),
  );
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
