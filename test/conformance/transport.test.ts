import process from 'node:process';
import { createTransports as denoTransports } from '../../src/platform/deno/transport.ts';
import { undiciTransports } from '../../src/platform/http/undici-transport.ts';
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
