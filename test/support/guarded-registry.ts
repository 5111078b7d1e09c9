/** docker-registry over TLS, for clients with a certificate and a password or token; and the token server that it trusts. */
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { basic } from '../registry/auth.ts';
import type { TestCerts } from '../registry/certs.ts';
import { type HttpServer, type ServerRequest, serve } from '../registry/http-server.ts';
import { freePort, startDaemon } from './processes.ts';

export const USER = 'fisher';
export const PASSWORD = 'swordfish';
/** htpasswd's line for the two: docker-registry takes bcrypt only, which Node lacks. */
const HTPASSWD = `${USER}:$2b$04$URvUbymQZETlLKAgeU76T.yp1tn4Ro2RwBzg46p4J1F4CyxlLeKo.\n`;
const [ISSUER, SERVICE] = ['test-issuer', 'test-registry'];

export interface GuardedRegistry {
  readonly port: number;
  close(): Promise<void>;
}

/** `storage`: the directory that another registry has filled. `realm`: tokens from there, else htpasswd. */
export async function startGuarded(options: {
  readonly dir: string;
  readonly storage: string;
  readonly certs: TestCerts;
  readonly realm?: string;
}): Promise<GuardedRegistry> {
  const { dir, storage, certs, realm } = options;
  const port = await freePort();
  const file = (name: string, text: string): string => {
    const path = join(dir, `guarded-${port}-${name}`);
    writeFileSync(path, text);
    return path;
  };
  const ca = file('ca.pem', certs.ca);
  const tls = { certificate: file('cert.pem', certs.cert), key: file('key.pem', certs.key), clientcas: [ca] };
  const auth =
    realm === undefined
      ? { htpasswd: { realm: 'test', path: file('htpasswd', HTPASSWD) } }
      : { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: ca } };
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: `127.0.0.1:${port}`, tls },
    auth,
  };
  // JSON is YAML.
  const daemon = await startDaemon(
    'docker-registry',
    ['serve', file('config.yml', JSON.stringify(config))],
    () => accepts(port),
  );
  return { port, close: () => daemon.stop() };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

export interface TokenServer {
  readonly url: string;
  readonly requests: ServerRequest[];
  close(): Promise<void>;
}

/** Gives tokens for pulling to USER with PASSWORD, by POST (OAuth 2) and GET with Basic; over TLS, without a client certificate. */
export async function startTokenServer(certs: TestCerts): Promise<TokenServer> {
  const requests: ServerRequest[] = [];
  const server: HttpServer = await serve(
    async (request, wire) => {
      requests.push(request);
      const form = new URLSearchParams(
        request.method === 'POST' ? new TextDecoder().decode(request.body) : request.url.search,
      );
      const known =
        request.method === 'POST'
          ? form.get('username') === USER && form.get('password') === PASSWORD
          : request.headers.get('authorization') === basic(USER, PASSWORD);
      const token = known ? makeToken(certs, form.get('scope') ?? '') : undefined;
      const body = JSON.stringify(
        token === undefined ? { errors: [] } : { token, access_token: token, expires_in: 300 },
      );
      const status = known ? '200 OK' : '401 Unauthorized';
      await wire.write(
        `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    },
    { tls: { key: certs.key, cert: certs.cert } },
  );
  return { url: `https://localhost:${server.port}/token`, requests, close: server.close };
}

/** distribution's token specification: a JWT by the certificate that the registry's bundle vouches for. */
function makeToken({ cert, key }: TestCerts, scope: string): string {
  const now = Math.floor(Date.now() / 1000);
  const [type, name, actions = ''] = scope.split(':');
  const x5c = [new X509Certificate(cert).raw.toString('base64')];
  const claims = {
    ...{ iss: ISSUER, sub: USER, aud: SERVICE, exp: now + 300, nbf: now - 10, iat: now, jti: randomUUID() },
    access: [{ type, name, actions: actions.split(',') }],
  };
  const text = [{ typ: 'JWT', alg: 'ES256', x5c }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = sign('sha256', Buffer.from(text), {
    key: createPrivateKey(key),
    dsaEncoding: 'ieee-p1363',
  });
  return `${text}.${signature.toString('base64url')}`;
}
