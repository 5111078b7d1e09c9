/** A private CA and a certificate for 127.0.0.1, localhost and registry.test (or other names), and bad ones, made by the openssl tool. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../support/tmp.ts';

export interface TestCerts {
  readonly ca: string;
  readonly caKey: string;
  readonly cert: string;
  readonly key: string;
  /** As `cert` and for `key`, but no longer valid. */
  readonly expiredCert: string;
  /** As `cert` and for `key`, but for another name. */
  readonly otherNameCert: string;
  /** For clients, of the same CA. */
  readonly clientCert: string;
  readonly clientKey: string;
}

const NAMES: readonly string[] = ['IP:127.0.0.1', 'DNS:localhost', 'DNS:registry.test'];

export function makeCerts(names: readonly string[] = NAMES): TestCerts {
  const dir = tempDir('hawser-certs-');
  try {
    return makeIn(dir.path, names.join(','));
  } finally {
    dir[Symbol.dispose]();
  }
}

function makeIn(dir: string, names: string): TestCerts {
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
  const request = (name: string): void =>
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
  const sign = (name: string, extensions: string, of = name): void => {
    writeFileSync(at(`${name}.ext`), extensions);
    openssl(
      ...[
        'x509',
        '-req',
        '-in',
        at(`${of}.csr`),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
      ],
      ...['-days', '2', '-extfile', at(`${name}.ext`), '-out', at(`${name}.pem`)],
    );
  };
  const forServer = (of: string): string =>
    `basicConstraints=CA:FALSE\nsubjectAltName=${of}\nextendedKeyUsage=serverAuth\n`;
  request('server');
  sign('server', forServer(names));
  sign('other', forServer('DNS:other.test'), 'server');
  writeFileSync(at('expired.ext'), forServer(names));
  writeFileSync(at('index.txt'), '');
  const settings = `database=${at('index.txt')}\nnew_certs_dir=${dir}\nrand_serial=yes\ndefault_md=sha256\npolicy=names`;
  writeFileSync(at('ca.conf'), `[ca]\ndefault_ca=own\n[own]\n${settings}\n[names]\ncommonName=supplied\n`);
  // `x509 -req` takes no dates before OpenSSL 3.4.
  openssl(
    ...['ca', '-batch', '-notext', '-config', at('ca.conf'), '-in', at('server.csr'), '-cert', at('ca.pem')],
    ...['-keyfile', at('ca.key'), '-startdate', '200101000000Z', '-enddate', '200201000000Z'],
    ...['-extfile', at('expired.ext'), '-out', at('expired.pem')],
  );
  request('client');
  sign('client', 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n');
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  return {
    ca: read('ca.pem'),
    caKey: read('ca.key'),
    cert: read('server.pem'),
    key: read('server.key'),
    expiredCert: read('expired.pem'),
    otherNameCert: read('other.pem'),
    clientCert: read('client.pem'),
    clientKey: read('client.key'),
  };
}
