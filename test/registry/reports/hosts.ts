/** Reports about hosts.toml, mirrors, TLS and proxies. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { parseHostsToml } from '../../../src/core/registry/hosts-dir/toml.ts';
import { proxiesOf } from '../../../src/core/registry/proxy.ts';
import { failure } from '../../support/failure.ts';
import { startProxy } from '../../support/http-proxy.ts';
import { withClient } from '../client.ts';
import type { Fault } from '../faults.ts';
import type { TestImage } from '../image.ts';
import type { TestRegistry } from '../registry.ts';
import {
  beside,
  certs,
  type Ground,
  onRegistry,
  plainImage,
  type Report,
  RIGHT,
  says,
  withHosts,
} from './kit.ts';

interface Mirrored extends Ground {
  readonly mirror: TestRegistry;
  readonly hostsDir: string;
}

/** A registry with a mirror before it that has the same image. `entry`: more lines of the mirror's table. */
async function mirrored(
  faults: readonly Fault[],
  body: (ground: Mirrored) => Promise<void>,
  { image, entry = '' }: { image?: TestImage; entry?: string } = {},
): Promise<void> {
  await beside({ faults }, async (mirror) => {
    const ground = async (own: Ground): Promise<void> => {
      mirror.push('t/a', 'v1', own.image);
      const toml = `server = "${own.registry.url}"\n[host."${mirror.url}"]\n${entry}`;
      await withHosts(own.registry.host, toml, (hostsDir) => body({ ...own, mirror, hostsDir }));
    };
    await onRegistry({}, ground, image);
  });
}

/** A pull from a registry that wants a client certificate; the three files are beside hosts.toml. */
async function withClientCert(
  [ca, cert, key]: readonly [ca: string, cert: string, key: string],
  toml: (url: string) => string,
): Promise<void> {
  const pems = certs();
  await onRegistry({ tls: { ...pems, clientCa: pems.ca } }, async ({ registry, take }) => {
    await withHosts(registry.host, toml(registry.url), async (hostsDir, own) => {
      writeFileSync(join(own, ca), pems.ca);
      writeFileSync(join(own, cert), pems.clientCert);
      writeFileSync(join(own, key), pems.clientKey);
      await take({ hostsDir });
    });
  });
}

const PAGE = { body: '<!doctype html><html>', headers: { 'Content-Type': 'text/html' } };
const LARGE = 300_000;

export const HOSTS: readonly Report[] = [
  {
    report: 'containerd/containerd#13212',
    behaviour: 'hosts.toml has no `host` table, and the settings of the registry itself at its top',
    verdict: RIGHT,
    check: () =>
      withClientCert(['ca.crt', 'client.cert', 'client.key'], (url) => {
        return `server = "${url}"\nca = "ca.crt"\nclient = [["client.cert", "client.key"]]\n`;
      }),
  },
  {
    report: 'moby/moby#33432',
    behaviour: 'a registry wants a client certificate, which is in a directory as Docker has them',
    verdict: RIGHT,
    check: () =>
      withClientCert(['mydomain.io.crt', 'client@mydomain.io.cert', 'client@mydomain.io.key'], () => ''),
  },
  {
    report: 'containerd/containerd#7400',
    behaviour: 'a mirror answers everything with a page, 200 and text/html',
    verdict: 'mended in "download: a host that has less of a blob than it should is asked after the others"',
    check: () =>
      mirrored([{ ...PAGE }], ({ take, hostsDir }) => take({ hostsDir }), {
        entry: 'capabilities = ["pull"]',
      }),
  },
  {
    report: 'docker/for-mac#7658',
    behaviour: 'a mirror redirects to its login page',
    verdict: RIGHT,
    check: () =>
      beside({ faults: [{ ...PAGE }] }, (login) =>
        mirrored([{ redirectStatus: 302, redirect: `${login.url}/login` }], ({ take, hostsDir }) =>
          take({ hostsDir }),
        ),
      ),
  },
  {
    report: 'mcronce/oci-registry#13',
    behaviour:
      'a mirror keeps the part of a blob that it got before its own download failed, and gives that as the whole',
    verdict: 'mended in "download: a host that has less of a blob than it should is asked after the others"',
    check: async () =>
      await mirrored(
        [{ match: '/blobs/', method: 'GET', short: 9_000 }],
        ({ take, hostsDir }) => take({ hostsDir }),
        {
          image: await plainImage(LARGE),
        },
      ),
  },
  {
    report: 'aceeric/ociregistry#20',
    behaviour: 'a mirror gives more bytes than the blob has',
    verdict: RIGHT,
    check: () =>
      mirrored([{ match: '/blobs/', method: 'GET', overlong: 16_384 }], ({ take, hostsDir }) =>
        take({ hostsDir }),
      ),
  },
  {
    report: 'containerd/containerd#4141',
    behaviour: 'a tag that no host has: the error is about the fallback, not about the mirror',
    verdict: RIGHT,
    check: () =>
      mirrored([], async ({ refused, hostsDir, mirror, registry }) => {
        const err = await refused('NotFound', { hostsDir }, `${registry.host}/t/a:none`);
        says(
          err,
          new RegExp(`t/a:none: not found \\(also tried: ${mirror.url}/v2: .*not found\\)`),
          /repository and the tag/,
        );
      }),
  },
  {
    report: 'aws/eks-anywhere#10765',
    behaviour:
      'a mirror has the repositories below /v2/NAMESPACE, which hosts.toml says with `override_path`',
    verdict: RIGHT,
    check: () =>
      beside({ apiRoot: '/v2/ns' }, (mirror) =>
        onRegistry({}, async ({ registry, image, take }) => {
          mirror.push('t/a', 'v1', image);
          const toml = `[host."${mirror.url}/v2/ns"]\noverride_path = true\n`;
          await withHosts(registry.host, toml, (hostsDir) => take({ hostsDir }));
          assert.deepEqual(
            [registry.requests.length, mirror.requests.every(({ status }) => status === 200)],
            [0, true],
          );
        }),
      ),
  },
  {
    report: 'containerd/containerd#8053',
    behaviour: '`server = "*"` in hosts.toml',
    verdict: 'mended in "hosts.toml: the name of a host is a name or an address"',
    check: async () => {
      const err = await failure(
        Promise.resolve().then(() => parseHostsToml('server = "*"\n', '/h/hosts.toml')),
      );
      assert.match(err.message, /\/h\/hosts\.toml:1: server: .*neither a name nor an address/);
    },
  },
  {
    report: 'containerd/containerd#10055',
    behaviour: 'a mirror is named by an IPv6 address in hosts.toml, with brackets or, wrongly, without',
    verdict: RIGHT,
    check: async () => {
      const parse = (url: string) =>
        parseHostsToml(`[host."${url}"]\n`, '/h/hosts.toml').entries[0]?.base?.href;
      assert.equal(parse('https://[fd7c:53a5:aef5::242:ac11:7]'), 'https://[fd7c:53a5:aef5::242:ac11:7]/v2');
      const err = await failure(Promise.resolve().then(() => parse('https://fd7c:53a5:aef5::242:ac11:7')));
      assert.match(err.message, /\/h\/hosts\.toml:1: .*not a URL/);
    },
  },
  {
    report: 'containerd/containerd#12636',
    behaviour: 'the directory of a registry is absent, and `_default` has the mirror for all',
    verdict: RIGHT,
    check: () =>
      mirrored([], async ({ take, hostsDir, mirror, registry }) => {
        mkdirSync(join(hostsDir, 'only', '_default'), { recursive: true });
        writeFileSync(join(hostsDir, 'only', '_default', 'hosts.toml'), `[host."${mirror.url}"]\n`);
        await take({ hostsDir: join(hostsDir, 'only') });
        assert.equal(registry.requests.length, 0);
      }),
  },
  {
    report: 'docker/for-linux#376',
    behaviour: 'the proxy itself refuses to lead to the registry',
    verdict: RIGHT,
    check: async () => {
      const proxy = await startProxy({ refuses: '403 AuthorizedOnly' });
      try {
        const options = { proxy: proxiesOf((name) => (name === 'HTTPS_PROXY' ? proxy.url : undefined)) };
        const err = await withClient(options, (client) =>
          failure(client.resolve(parseReference('reg.test/t/a:x'))),
        );
        assert.match(err.message, new RegExp(`through the proxy ${proxy.url}: the proxy failed .*403`));
      } finally {
        await proxy.close();
      }
    },
  },
  {
    report: 'drone-plugins/drone-docker#183',
    behaviour: 'HTTPS_PROXY has no scheme, and NO_PROXY names the registry',
    verdict: RIGHT,
    check: async () => {
      const env: Readonly<Record<string, string>> = {
        HTTPS_PROXY: 'example.com',
        NO_PROXY: 'index.docker.com',
      };
      const choose = proxiesOf((name) => env[name]);
      assert.equal(choose?.(new URL('https://index.docker.com/v2/')), undefined);
      assert.equal(choose?.(new URL('https://reg.test/v2/'))?.href, 'http://example.com/');
    },
  },
];
