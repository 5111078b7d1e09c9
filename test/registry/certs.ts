/** A private CA and a certificate for 127.0.0.1, localhost and registry.test, made by the openssl tool. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../support/tmp.ts';

export interface TestCerts {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** For clients, of the same CA. */
  readonly clientCert: string;
  readonly clientKey: string;
}

export function makeCerts(): TestCerts {
  const dir = tempDir('hawser-certs-');
  try {
    return makeIn(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
}

function makeIn(dir: string): TestCerts {
  const at = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'pipe' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const caUsage = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
    ...caUsage,
  );
  const issue = (name: string, extensions: string): void => {
    writeFileSync(at(`${name}.ext`), extensions);
    openssl(
      'req',
      '-new',
      ...newKey,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      `/CN=${name}`,
    );
    openssl(
      ...[
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
      ],
      ...['-days', '2', '-extfile', at(`${name}.ext`), '-out', at(`${name}.pem`)],
    );
  };
  issue(
    'server',
    'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\nextendedKeyUsage=serverAuth\n',
  );
  issue('client', 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n');
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  return {
    ca: read('ca.pem'),
    cert: read('server.pem'),
    key: read('server.key'),
    clientCert: read('client.pem'),
    clientKey: read('client.key'),
  };
}
