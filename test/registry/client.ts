/** Our client, for tests against the test registry. */
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { HttpRequest, HttpResponse, Transports } from '../../src/core/ports/transport.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { openRegistry, type RegistryOptions } from '../../src/core/registry/open.ts';
import type { Fetched, Registry } from '../../src/core/registry/registry.ts';
import { parts } from '../support/this-runtime.ts';

const ours: Transports = await parts.transports();

export function transports(): Transports {
  return ours;
}

/** Time goes on only by `advance` and by sleeping. */
export function fakeClock(): Clock & { advance(ms: number): void } {
  let now = Date.UTC(2026, 0, 1);
  return {
    now: () => now,
    monotonic: () => now,
    sleep: async (ms) => {
      now += ms;
    },
    advance: (ms) => {
      now += ms;
    },
  };
}

/** Runs with a client, and closes it. Nothing is tried again unless `retry` says so. */
export async function withClient<T>(
  options: RegistryOptions & { clock?: Clock; transports?: Transports },
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const deps = { transports: options.transports ?? transports(), clock: options.clock ?? fakeClock() };
  const registry = openRegistry(deps, { retry: { tries: 0 }, ...options });
  try {
    return await work(registry);
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

export async function resolveText(text: string, options: RegistryOptions = {}): Promise<Descriptor> {
  return await withClient(options, async (client) => (await client.resolve(parseReference(text))).root);
}

export function descriptor(mediaType: string, digest: string, size: number): Descriptor {
  return { mediaType, digest: parseDigest(digest), size };
}

export async function bytesOf({ body }: Pick<Fetched, 'body'>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

/** Transports that answer from a function: for hosts that tests cannot have. */
export function scripted(
  answer: (request: HttpRequest) => { status?: number; headers?: Record<string, string>; body?: string },
): Transports & { readonly requests: HttpRequest[] } {
  const requests: HttpRequest[] = [];
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    requests.push(request);
    const { status = 200, headers = {}, body = '' } = answer(request);
    const bytes = new TextEncoder().encode(body);
    return {
      status,
      statusText: '',
      url: request.url,
      headers: new Headers(headers),
      body: new ReadableStream({
        start(stream) {
          if (bytes.length > 0) stream.enqueue(bytes);
          stream.close();
        },
      }),
    };
  };
  return { requests, open: () => ({ send, [Symbol.asyncDispose]: async () => {} }) };
}
