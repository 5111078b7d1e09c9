/** Errors of exchanges, of waits, and of blobs on their way. */
import { Doubts } from '../../../../src/core/download/doubts.ts';
import { fetchBlob } from '../../../../src/core/download/fetch-blob.ts';
import { fetchSchema1 } from '../../../../src/core/download/schema1-manifest.ts';
import { streamBlob } from '../../../../src/core/download/stream-blob.ts';
import { DOCKER_SCHEMA1_UNSIGNED } from '../../../../src/core/oci/media-types.ts';
import { checkRate, flow } from '../../../../src/core/registry/flow.ts';
import { failure } from '../../../../src/platform/http/http-failure.ts';
import { descriptor, fakeClock, resolveText, scripted } from '../../../registry/client.ts';
import { startRegistry } from '../../../registry/registry.ts';
import { certs } from '../../../registry/reports/kit.ts';
import { bareRuntime } from '../../../support/bare-runtime.ts';
import { FAILS, type Row } from './kit.ts';
import { type Answer, asked, blob, DIGEST, reference, resolving, type Script } from './scripts.ts';

const ADDRESS = /^Check the name and the port of the registry, the network and the proxy settings$/;
const CUT = /^Try again; the server, or a proxy or firewall before it, ends connections$/;
const OTHER_SERVER =
  /^Check the name and the port of the registry, and the proxy: another server may have answered$/;
const request = { method: 'GET', url: new URL('https://reg.test/v2/?sig=hunter2'), headers: {} } as const;

/** What a transport finds, by its code. */
const EXCHANGES: readonly (readonly [code: string, says: RegExp, hint?: RegExp])[] = [
  ['ECONNREFUSED', /: connection refused$/, ADDRESS],
  ['ECONNRESET', /: connection reset by the server$/, CUT],
  ['CONNECT_RESET', /: the connection was closed while TLS was set up$/, CUT],
  ['ENOTFOUND', /: no such host$/, ADDRESS],
  ['EAI_AGAIN', /: the name could not be looked up$/, ADDRESS],
  ['ECONNABORTED', /: the exchange failed$/],
  ['EPIPE', /: the exchange failed$/],
  ['ETIMEDOUT', /: the exchange failed$/, ADDRESS],
  ['EHOSTUNREACH', /: the exchange failed$/, ADDRESS],
  ['ENETUNREACH', /: the exchange failed$/, ADDRESS],
  [
    'TLS',
    /: TLS failed$/,
    /^The two ends did not agree: check the port, the client certificate \(--tlscert\)/,
  ],
  [
    'TLS_ROOT',
    /: TLS failed$/,
    /^Name the registry’s own CA with --tlscacert; --skip-verify turns the check off$/,
  ],
  ['TLS_TIME', /: TLS failed$/, /^The certificate is not valid now: check this machine’s clock/],
  ['TLS_NAME', /: TLS failed$/, /^The certificate is for other names: check the name of the registry$/],
  [
    'PLAIN_HTTP',
    /: the server does not speak TLS on this port$/,
    /^If it has no TLS: --plain-http, or http:\/\/ where hosts\.toml names it$/,
  ],
  [
    'TLS_PORT',
    /: the server speaks TLS on this port, and was asked in plain HTTP$/,
    /^Leave out --plain-http, or write https:\/\/ where hosts\.toml names it; a port of this machine/,
  ],
  ['UNEXPECTED_END', /: the server closed the connection too early$/, CUT],
  ['HTTP_PROTOCOL', /: the answer is not valid HTTP$/, OTHER_SERVER],
  ['HEADERS_OVERFLOW', /: the answer has too many or too long headers$/, OTHER_SERVER],
  ['CONNECT_TIMEOUT', /: no connection in time$/, ADDRESS],
  ['HEADERS_TIMEOUT', /: no answer in time$/, /--timeout-response; 30s by default\)$/],
  ['STALLED', /: the body stalled$/, /--timeout-stall; 60s by default\)$/],
  ['PROXY', /: the proxy failed$/, /^Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY$/],
  [
    'ADDRESS_REFUSED',
    /: the registry may not lead to the address of this name$/,
    /--reach private \(or loopback\), or reach = "private" in hosts\.toml, lets a host lead to its own network$/,
  ],
  ['CLOSED', /: the transport was closed$/],
  ['EUNHEARDOF', /: the exchange failed$/],
];

/** The codes that have a row above. */
export const EXCHANGE_CODES: readonly string[] = EXCHANGES.map(([code]) => code);

function thrown(make: () => Error): () => never {
  return () => {
    throw make();
  };
}

const exchanges = EXCHANGES.map(
  ([code, says, hint]): Row => ({ says, hint, fail: thrown(() => failure(request, code)) }),
);

/** OpenSSL's words have paths of its sources: the reason stays. */
const PATHS =
  '0017F74C00000000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../deps/openssl/a.c:78:\n';
const words: readonly Row[] = [
  {
    says: /: the server does not speak TLS on this port \(wrong version number\)$/,
    hint: /^If it has no TLS/,
    fail: thrown(() => failure(request, 'PLAIN_HTTP', new Error(PATHS))),
  },
  {
    says: /through the proxy http:\/\/proxy\.test: connection refused$/,
    hint: /^Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY$/,
    fail: thrown(() => failure(request, 'ECONNREFUSED', undefined, new URL('http://proxy.test'))),
  },
  ...['127.0.0.1:5999', 'localhost:1', '[::1]:1'].map((host) => ({
    says: /: connection refused$/,
    hint: /^Check the port, and whether the registry on this machine runs$/,
    fail: thrown(() => failure({ ...request, url: new URL(`http://${host}/v2/`) }, 'ECONNREFUSED')),
  })),
];

/** A TLS server that is asked in plain HTTP, over the network. */
async function wrongProtocol(): Promise<void> {
  const registry = await startRegistry({ tls: certs() });
  try {
    await resolveText(`${registry.host}/t/a:x`, { plainHttp: true });
  } finally {
    await registry.close();
  }
}

async function slowly(): Promise<void> {
  const clock = fakeClock();
  const transport = scripted(() => ({ body: 'x' })).open();
  const monotonic = (): number => {
    clock.advance(1_100);
    return clock.now();
  };
  const slow = flow({ minSpeed: 100, window: 1000 }, { ...clock, monotonic });
  const { body } = await slow((one) => transport.send(one))(request);
  await new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

const { hashers } = bareRuntime();

/** The blob to a reader, as `content fetch-blob` does. */
const streaming = (script: Script | Answer, retry: { tries?: number } = { tries: 0 }) =>
  asked(script, async (client) => {
    const deps = { fetcher: client.fetcher(reference), clock: fakeClock(), hashers, report: () => {}, retry };
    await streamBlob(deps, blob(), async () => {}, {});
  });

const body = (length: number): Answer => ({ body: 'x'.repeat(length) });
const inParts: Script = ({ headers }) => {
  const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
  return { body: 'x'.repeat(Math.max(0, 10 - from)) };
};

const SIGNED = JSON.stringify({ schemaVersion: 1, fsLayers: [], history: [] });
const schema1 = (size: number, answer: string) =>
  asked({ body: answer }, async (client) => {
    const desc = descriptor(DOCKER_SCHEMA1_UNSIGNED, DIGEST, size);
    const deps = { fetcher: client.fetcher(reference), clock: fakeClock(), hashers, report: () => {} };
    await fetchSchema1(deps, desc, {});
  });

const doubting = async (): Promise<void> => {
  const doubts = new Doubts();
  await doubts.during(undefined, async (signal) => {
    void doubts.raise(new Error('no gzip'));
    signal.throwIfAborted();
  });
};

const ingesting = async (): Promise<void> => {
  const ingest = () => Promise.reject(failure(request, 'STALLED'));
  const deps = { content: { ingest }, fetcher: {}, clock: fakeClock(), report: () => {} } as never;
  await fetchBlob(deps, blob(), {} as never);
};

const CAP = /^sha256:a{64} has more than \d+ bytes, too many for a schema 1 manifest$/;
const THROW_AWAY = /^Throw away the \d+ bytes of it that were written/;

export const TRANSFERS: readonly Row[] = [
  ...exchanges,
  ...words,
  {
    says: /^Cannot use limitRate: 0 is no number of bytes above 0$/,
    hint: /^Leave the option away for no limit$/,
    fail: () => checkRate(0),
  },
  {
    says: /: the server speaks TLS on this port, and was asked in plain HTTP/,
    hint: /^Leave out --plain-http/,
    fail: wrongProtocol,
  },
  {
    says: /the body came too slowly: \d+ bytes a second$/,
    hint: /^Less than 100 bytes a second is taken for a dead connection; --min-speed says otherwise$/,
    fail: slowly,
  },
  {
    says: /503 Service Unavailable \(given up after 3 tries without progress in \d+ s\)$/,
    hint: FAILS,
    fail: resolving({ status: 503 }, { retry: { tries: 2 } }),
  },
  {
    says: /^Cannot fetch sha256:a{64}: The body of sha256:a{64} ended after 0 of 1000 bytes$/,
    fail: streaming(body(0)),
  },
  {
    says: /^Cannot fetch sha256:a{64}: The registry has only 10 of the 1000 bytes of sha256:a{64}$/,
    hint: /^Throw away the 10 bytes of it that were written\. The registry, or a cache before it, has less of the blob than the manifest says$/,
    fail: streaming(inParts, {}),
  },
  {
    says: /^Cannot fetch sha256:a{64}: more than the 1000 bytes that it was said to have$/,
    hint: /^The bytes are not those that the image names: try again/,
    fail: streaming(body(1001)),
  },
  {
    says: /^Cannot fetch sha256:a{64}: content is sha256:[0-9a-f]{64}, want sha256:a{64}$/,
    hint: THROW_AWAY,
    fail: streaming(body(1000)),
  },
  { says: CAP, fail: schema1(1 << 30, '') },
  { says: CAP, fail: schema1(100, 'x'.repeat(9 << 20)) },
  {
    says: /^content without signature is sha256:[0-9a-f]{64}, want sha256:a{64}$/,
    hint: /^The registry, or something before it, changed the manifest; pull again$/,
    fail: schema1(SIGNED.length, SIGNED),
  },
  { says: /^the bytes that came cannot be right: no gzip$/, fail: doubting },
  {
    says: /^Cannot fetch layer-sha256:a{64}: GET https:\/\/reg\.test\/v2\/: the body stalled$/,
    hint: /--timeout-stall; 60s by default\)$/,
    fail: ingesting,
  },
];
