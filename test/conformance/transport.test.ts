import process from 'node:process';
import { createTransports as denoTransports } from '../../src/platform/deno/transport.ts';
import { undiciTransports } from '../../src/platform/http/undici-transport.ts';
import { webTransports } from '../../src/platform/web/transport.ts';
import { makeCerts, type TestCerts } from '../registry/certs.ts';
import { transportSuite } from '../suites/transport.ts';
import { isDeno, needs } from '../support/needs.ts';

const certs: TestCerts | undefined = needs({ tools: ['openssl'] }) === false ? makeCerts() : undefined;

// With it undici would take the place of Deno's fetch.
if (isDeno) delete process.env.NODE_EXTRA_CA_CERTS;

const malformed = 'a malformed answer is no lost connection';
transportSuite(
  'undici',
  undiciTransports,
  () => certs,
  isDeno
    ? { 'the hint for a certificate that has expired': "Deno's node:tls says the same as of an unknown CA" }
    : {},
);
if (isDeno) {
  transportSuite('deno-fetch', denoTransports, () => certs, {
    [`${malformed}: two equal lengths`]: 'hyper takes equal lengths for one (RFC 9110, 8.6)',
    [`${malformed}: a length and chunks`]: 'hyper goes by the chunks (RFC 9112, 6.3)',
  });
}

const UPLOADS = 'fetch sends no stream with its length: hawser/web pushes nothing';
const TRUST = 'fetch takes no certificates and proxies';
const PROBES = 'Web APIs have no sockets to ask in the other protocol';
transportSuite('web', webTransports, () => certs, {
  ...Object.fromEntries(
    [
      ...['PUT', 'PATCH', 'POST'].map(
        (method) => `${method}: a body that is read meanwhile goes out with its length`,
      ),
      'the error of a body is that of the exchange, and the server never has the whole',
      'a body that is not taken is DeadlineExceeded',
      'an abort ends the sending',
      'an answer before the end of a body ends the sending',
    ].map((title) => [title, UPLOADS]),
  ),
  ...Object.fromEntries(
    [
      'TLS with a private CA',
      'a CA that is trusted besides the others',
      'a CA given takes the place of the others, and another may be trusted besides it',
      'TLS through a proxy',
      'the hint for a certificate for another name',
      'NODE_TLS_REJECT_UNAUTHORIZED=0 does not act: the transport without options',
      'NODE_TLS_REJECT_UNAUTHORIZED=0 does not act: undici',
      'skipVerify takes any certificate',
      'a client certificate',
    ].map((title) => [title, TRUST]),
  ),
  'TLS to a server that closes says so, if the server answers in plain HTTP': PROBES,
  'plain HTTP to a TLS server says so': PROBES,
  'an address that is not allowed is not connected to: localhost': 'fetch looks names up by itself',
  ...(isDeno
    ? {
        [`${malformed}: two equal lengths`]: 'hyper takes equal lengths for one (RFC 9110, 8.6)',
        [`${malformed}: a length and chunks`]: 'hyper goes by the chunks (RFC 9112, 6.3)',
      }
    : {
        'sends the headers given and asks for identity': 'the standard has fetch send sec-fetch-mode, too',
        'decodes no content encoding': 'the standard has fetch decode: the header goes with the encoding',
        'keeps to the number of connections': 'a body may end before its connection is free',
      }),
});
