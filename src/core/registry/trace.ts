/** Exchanges as people see them: without secrets, and without the bodies of blobs. */
import { messageOf } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { HttpRequest, HttpResponse, ResponseHeaders } from '../ports/transport.ts';
import { lengthOf, typeOf } from './answer.ts';
import type { Layer } from './layers.ts';
import { printable, safeHeaders, safeUrl } from './redact.ts';

/** One exchange, each hop of a redirect and each token request its own. */
export interface TraceEvent {
  /** GET or HEAD; POST for a token. */
  readonly method: string;
  /** Secrets replaced. */
  readonly url: string;
  /** Absent when there was no answer: see `error`. */
  readonly status?: number | undefined;
  /** Why there was no answer. */
  readonly error?: string | undefined;
  /** Milliseconds to the answer's headers. */
  readonly ms: number;
  /** Bytes of the body, when the answer says. */
  readonly length?: number | undefined;
  /** Headers about limits, such as `ratelimit-remaining` and `retry-after`. Absent: none. */
  readonly limits?: Readonly<Record<string, string>> | undefined;
}

export interface TraceOptions {
  readonly trace?: ((event: TraceEvent) => void) | undefined;
  /** Gets lines. */
  readonly dump?: ((line: string) => void) | undefined;
}

const MAX_DUMPED_BODY = 64 * 1024;
const DUMPED_TYPES = /^(?:application\/(?:[a-z0-9.+-]*\+)?json|text\/plain)\b/i;

/**
 * The innermost layer. With `secret`, bodies are never dumped: they hold passwords or tokens. Nor are the values of `configured` headers:
 * any of them may be a secret.
 */
export function tracing(
  options: TraceOptions,
  clock: Clock,
  { secret, configured = [] }: { readonly secret: boolean; readonly configured?: readonly string[] },
): Layer {
  const { trace, dump } = options;
  if (trace === undefined && dump === undefined) return (next) => next;
  return (next) => async (request) => {
    const began = clock.monotonic();
    const told = { method: request.method, url: safeUrl(request.url) };
    if (dump !== undefined) dumpRequest(dump, request, configured);
    try {
      const response = await next(request);
      const length = lengthOf(response);
      trace?.({
        ...told,
        status: response.status,
        ms: clock.monotonic() - began,
        ...(length === undefined ? {} : { length }),
        ...limitsOf(response.headers),
      });
      return dump === undefined ? response : dumpResponse(dump, response, secret);
    } catch (err) {
      trace?.({ ...told, error: messageOf(err), ms: clock.monotonic() - began });
      dump?.(`! ${messageOf(err)}`);
      throw err;
    }
  };
}

/** RateLimit headers in their many spellings; Docker Hub tells in `docker-ratelimit-source` whose limit it is. */
const LIMIT_HEADER = /^(?:x-|docker-)?rate-?limit(?:-[a-z0-9-]+)?$|^retry-after$/;
const MAX_LIMIT_HEADERS = 10;

function limitsOf(headers: ResponseHeaders): Pick<TraceEvent, 'limits'> {
  const found = [...headers].filter(([name]) => LIMIT_HEADER.test(name)).slice(0, MAX_LIMIT_HEADERS);
  if (found.length === 0) return {};
  return { limits: Object.fromEntries(found.map(([name, value]) => [name, printable(value, 200)])) };
}

function dumpRequest(
  dump: (line: string) => void,
  request: HttpRequest,
  configured: readonly string[],
): void {
  dump(`> ${request.method} ${safeUrl(request.url)} HTTP/1.1`);
  for (const [name, value] of safeHeaders(Object.entries(request.headers), configured))
    dump(`> ${name}: ${value}`);
  if (request.body !== undefined) dump(`> [${request.body.length} bytes not shown]`);
}

function dumpResponse(dump: (line: string) => void, response: HttpResponse, secret: boolean): HttpResponse {
  dump(`< HTTP/1.1 ${response.status} ${printable(response.statusText, 100)}`);
  for (const [name, value] of safeHeaders([...response.headers])) dump(`< ${name}: ${value}`);
  if (secret || !DUMPED_TYPES.test(typeOf(response))) return response;
  const decoder = new TextDecoder();
  let text = '';
  const copy = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      if (text.length < MAX_DUMPED_BODY) text += decoder.decode(chunk, { stream: true });
      out.enqueue(chunk);
    },
    flush() {
      for (const line of text.slice(0, MAX_DUMPED_BODY).split('\n')) {
        if (line !== '') dump(`< ${printable(line, MAX_DUMPED_BODY)}`);
      }
    },
  });
  return { ...response, body: response.body.pipeThrough(copy) };
}
