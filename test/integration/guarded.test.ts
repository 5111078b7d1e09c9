/**
 * The real docker-registry, with htpasswd and with a token server, over TLS with a private CA and client certificates: directly,
 * through a hosts.toml whose mirror is down, and through an HTTP proxy; on Node and on Deno.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { makeCerts, type TestCerts } from '../registry/certs.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import {
  type GuardedRegistry,
  PASSWORD,
  startGuarded,
  startTokenServer,
  type TokenServer,
  USER,
} from '../support/guarded-registry.ts';
import { flavour } from '../support/hawser.ts';
import { type HttpProxy, startProxy } from '../support/http-proxy.ts';
import { needs } from '../support/needs.ts';
import { freePort } from '../support/processes.ts';
import { startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';

const TOOLS = ['docker-registry', 'skopeo', 'openssl'];
const RUNTIMES = ['node26', 'deno'] as const;
const GUARDS = ['htpasswd', 'token server'] as const;
/** In the certificate, and known to the proxy only. */
const NAME = 'registry.test';

describe('a guarded registry', { skip: needs({ tools: TOOLS }) }, () => {
  let temp: Scratch;
  let certs: TestCerts;
  let tokens: TokenServer;
  let proxy: HttpProxy;
  let count = 0;
  const guarded = new Map<string, GuardedRegistry>();
  const at = (name: string): string => join(temp.path, name);

  before(async () => {
    temp = scratch();
    certs = makeCerts();
    const files = { 'ca.pem': certs.ca, 'client.pem': certs.clientCert, 'client.key': certs.clientKey };
    for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text);
    const open = await startDockerRegistry();
    const layout = await smallImage(temp.path, { layers: 2, bytes: 1000, files: 2 });
    await open.push(`${layout}:small`, 't/small:1');
    tokens = await startTokenServer(certs);
    const common = { dir: temp.path, storage: at('storage'), certs };
    await open.keep(at('storage'));
    guarded.set('htpasswd', await startGuarded(common));
    guarded.set('token server', await startGuarded({ ...common, realm: tokens.url }));
    // Behind the proxy the realm has a name too: a registry with one may not lead to this machine.
    const realm = tokens.url.replace('localhost', NAME);
    guarded.set('token server, proxied', await startGuarded({ ...common, realm }));
    proxy = await startProxy();
  });
  after(async () => {
    for (const one of guarded.values()) await one.close();
    await proxy.close();
    await tokens.close();
    await temp[Symbol.asyncDispose]();
  });

  const run = (
    runtime: (typeof RUNTIMES)[number],
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<ExecResult> => {
    const [program, ...before] = flavour(runtime).command;
    const all = [...before, '--root', at(`store-${++count}`), 'content', 'fetch', ...args];
    return exec(program, all, { env: { ...process.env, HOME: temp.path, ...env } });
  };
  const port = (guard: string): number => guarded.get(guard)?.port ?? assert.fail();
  const tls = () => [
    '--tlscacert',
    at('ca.pem'),
    '--tlscert',
    at('client.pem'),
    '--tlskey',
    at('client.key'),
  ];
  const user = ['--user', `${USER}:${PASSWORD}`];

  for (const runtime of RUNTIMES) {
    for (const guard of GUARDS) {
      test(`${guard}, directly, ${runtime}`, async () => {
        const result = await run(runtime, [...tls(), ...user, `localhost:${port(guard)}/t/small:1`]);
        assert.equal(result.code, 0, explain(result));
      });

      test(`${guard}, through a hosts.toml whose mirror is down, ${runtime}`, async () => {
        const [host, down] = [`localhost:${port(guard)}`, `localhost:${await freePort()}`];
        const dir = at(`hosts-${++count}`);
        mkdirSync(join(dir, '_default'), { recursive: true });
        const files = 'ca = "../../ca.pem"\nclient = [["../../client.pem", "../../client.key"]]\n';
        writeFileSync(
          join(dir, '_default/hosts.toml'),
          `server = "https://${host}"\n${files}[host."https://${down}"]\n`,
        );
        // The mirror has a credential too; the registry's own is found by its name and port.
        const auths = { [host]: { auth: btoa(`${USER}:${PASSWORD}`) }, [down]: { auth: btoa('no:no') } };
        writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths }));
        const args = ['--hosts-dir', dir, '--http-trace', `${host}/t/small:1`];
        const result = await run(runtime, args, { DOCKER_CONFIG: dir });
        assert.equal(result.code, 0, explain(result));
        const dials = result.stderr.split('\n').filter((line) => line.includes(`//${down}/`));
        assert.equal(dials.length, 1, 'one dial failure puts the mirror last for everything');
      });

      test(`${guard}, through an HTTP proxy, ${runtime}`, async () => {
        const seen = proxy.log.length;
        const named = guard === 'htpasswd' ? guard : 'token server, proxied';
        const host = `${NAME}:${port(named)}`;
        const env = { DENO_NO_UPDATE_CHECK: '1', HTTPS_PROXY: proxy.url, HTTP_PROXY: '', NO_PROXY: '' };
        const result = await run(runtime, [...tls(), ...user, `${host}/t/small:1`], env);
        assert.equal(result.code, 0, explain(result));
        const through = new Set(proxy.log.slice(seen));
        const realm = `CONNECT ${NAME}:${new URL(tokens.url).port}`;
        assert.deepEqual(
          [...through],
          guard === 'htpasswd' ? [`CONNECT ${host}`] : [`CONNECT ${host}`, realm],
        );
      });
    }

    test(`without the client certificate, the CA or the password it is refused, ${runtime}`, async () => {
      const ref = `localhost:${port('htpasswd')}/t/small:1`;
      const refusals: readonly (readonly [string[], RegExp])[] = [
        [['--tlscacert', at('ca.pem'), ...user], /TLS|certificate|reset|closed/i],
        [['--tlscert', at('client.pem'), '--tlskey', at('client.key'), ...user], /TLS failed/],
        [tls(), /pull access denied.*401/],
        [[...tls(), '--user', `${USER}:wrong-one`], /pull access denied.*401/],
      ];
      for (const [flags, message] of refusals) {
        const result = await run(runtime, [...flags, '--retry', '0', ref]);
        assert.equal(result.code, 1, explain(result));
        assert.match(result.stderr, message);
        assert.doesNotMatch(result.stderr, /wrong-one|swordfish/);
      }
    });
  }
});
