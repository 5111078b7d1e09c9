import { createTransports as denoTransports } from '../../src/platform/deno/transport.ts';
import { undiciTransports } from '../../src/platform/http/undici-transport.ts';
import { makeCerts, type TestCerts } from '../registry/certs.ts';
import { transportSuite } from '../suites/transport.ts';
import { isDeno, needs } from '../support/needs.ts';

const certs: TestCerts | undefined = needs({ tools: ['openssl'] }) === false ? makeCerts() : undefined;

transportSuite('undici', undiciTransports, () => certs);
if (isDeno) transportSuite('deno-fetch', denoTransports, () => certs);
