/** Reports about challenges and token servers. */
import assert from 'node:assert/strict';
import { findError } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { failure } from '../../support/failure.ts';
import { resolveText, withClient } from '../client.ts';
import { certs, type Ground, onRegistry, plainImage, type Report, RIGHT, says } from './kit.ts';

const LOGIN = { username: 'me', secret: 'pw' };
const MINE = { mode: 'bearer', user: 'me', pass: 'pw' } as const;

export const AUTH: readonly Report[] = [
  {
    report: 'containerd/containerd#5469',
    behaviour: 'the realm ends in a slash, and the token server (Pulp) refuses requests without `service`',
    verdict: RIGHT,
    check: () =>
      onRegistry(
        { auth: { mode: 'bearer', realm: '{origin}/token/', needs: ['service'] } },
        async (ground) => {
          await ground.take();
          assert.match(
            ground.registry.log().join('\n'),
            /GET \/token\/\?service=testsvc&scope=repository%3At%2Fa%3Apull/,
          );
        },
      ),
  },
  {
    report: 'NVIDIA/enroot#278',
    behaviour: 'tokens live shorter than the pull of several layers',
    verdict: RIGHT,
    check: async () => {
      const layers = [1, 2, 3].map((n) => ({ entries: [{ name: `file${n}`, data: String(n) }] }));
      const image = await plainImage(0, { layers });
      let expire = (): void => {};
      const onAnswer = ({ path }: { readonly path: string }) => path.includes('/blobs/') && expire();
      const ground = async ({ take, registry }: Ground): Promise<void> => {
        expire = () => registry.gate.expire();
        await take({ credentials: LOGIN, maxConcurrentDownloads: 1 });
        assert.ok(registry.gate.issued >= 3, `${registry.gate.issued} tokens`);
      };
      await onRegistry({ auth: MINE, onAnswer }, ground, image);
    },
  },
  {
    report: 'podman-container-tools/skopeo#533',
    behaviour: 'the token server (IBM Cloud) wants an identity token with a `client_id`',
    verdict: RIGHT,
    check: () =>
      onRegistry(
        { auth: { mode: 'bearer', refreshToken: 'R', needs: ['client_id', 'service'] } },
        async ({ ref, registry }) => {
          await resolveText(ref, { credentials: async () => ({ refreshToken: 'R' }) });
          assert.match(
            registry.requests.find(({ method }) => method === 'POST')?.body ?? '',
            /client_id=hawser/,
          );
        },
      ),
  },
  {
    report: 'anchore/anchore-engine#18',
    behaviour: 'the token server (ACR) gives `access_token` and no `token`',
    verdict: RIGHT,
    check: () =>
      onRegistry({ auth: { ...MINE, member: 'access_token' } }, ({ take }) => take({ credentials: LOGIN })),
  },
  {
    report: 'containers/image#2454',
    behaviour: 'the token server leads to a login page, 200 and HTML',
    verdict: 'mended in "registry: words of token servers, storage and login pages are told"',
    check: () =>
      onRegistry(
        {
          auth: { mode: 'bearer' },
          faults: [
            {
              match: '/token',
              body: '<!doctype html><html lang="en">',
              headers: { 'Content-Type': 'text/html' },
            },
          ],
        },
        async ({ refused }) =>
          says(
            await refused('Unauthenticated'),
            /answer to the GET request to .*\/token.* is not a JSON object/,
            /login page/,
          ),
      ),
  },
  {
    report: 'goharbor/harbor#3933',
    behaviour: 'a registry behind a proxy that ends TLS names an http realm',
    verdict: 'mended in "registry: words of token servers, storage and login pages are told"',
    check: () =>
      onRegistry(
        { tls: certs(), auth: { ...MINE, realm: 'http://127.0.0.1/service/token' } },
        async ({ refused, registry }) => {
          const options = { tls: { ca: certs().ca }, credentials: LOGIN };
          says(
            await refused('PermissionDenied', options),
            /realm http:\/\/127\.0\.0\.1\/service\/token refused: it has no TLS/,
            /own address.*https/,
          );
          assert.ok(
            registry.requests.every(({ authorization, body }) => authorization === undefined && body === ''),
          );
        },
      ),
  },
  {
    report: 'google/go-containerregistry#280',
    behaviour: 'the token server (Docker Hub) says why in a JSON document without `errors`',
    verdict: 'mended in "registry: words of token servers, storage and login pages are told"',
    check: () =>
      onRegistry(
        {
          auth: MINE,
          faults: [
            {
              match: '/token',
              status: 401,
              body: '{"details":"incorrect username or password"}',
              contentType: 'application/json',
            },
          ],
        },
        async ({ refused }) =>
          says(
            await refused('Unauthenticated', { credentials: LOGIN }),
            /401 Unauthorized: incorrect username or password$/,
            /password or token of the user me/,
          ),
      ),
  },
  {
    report: 'apple/container#183',
    behaviour: 'the token server (GHCR) answers 403 to a token of the user that has expired',
    verdict: RIGHT,
    check: () =>
      onRegistry({ auth: { ...MINE, tokenStatus: 403 } }, async ({ refused }) =>
        says(
          await refused('PermissionDenied', { credentials: LOGIN }),
          /failed to authorize: failed to fetch oauth token: .*403 Forbidden/,
          /password or token of the user me/,
        ),
      ),
  },
  {
    report: 'GoogleContainerTools/skaffold#6743',
    behaviour: 'the token server (Artifact Registry) says which permission is missing',
    verdict: RIGHT,
    check: () => {
      const message =
        'Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "x" (or it may not exist)';
      const body = JSON.stringify({ errors: [{ code: 'DENIED', message }] });
      return onRegistry(
        { auth: { mode: 'bearer' }, faults: [{ match: '/token', status: 403, body }] },
        async ({ refused }) =>
          says(
            await refused('PermissionDenied'),
            /denied: Permission "artifactregistry\.repositories\.downloadArtifacts"/,
            /give credentials, or log in/,
          ),
      );
    },
  },
  {
    report: 'containers/image#1972',
    behaviour: 'one challenge names several scopes, between spaces',
    verdict: RIGHT,
    check: () => {
      const scope = 'repository:t/b:pull repository:t/a:pull';
      const challenge = [`Bearer realm="{origin}/token",service="s",scope="${scope}"`];
      return onRegistry({ auth: { mode: 'bearer', challenge } }, async ({ take, registry }) => {
        await take();
        assert.match(
          registry.log().join('\n'),
          /scope=repository%3At%2Fa%3Apull&scope=repository%3At%2Fb%3Apull/,
        );
      });
    },
  },
  {
    report: 'moby/moby#15640',
    behaviour: 'the token server gives a token for less than was asked, and the registry refuses that token',
    verdict: RIGHT,
    check: () =>
      onRegistry({ auth: { ...MINE, wrongScope: true } }, async ({ ref, registry }) => {
        const credentials = async () => LOGIN;
        const err = await withClient({ credentials }, async (client) =>
          findError(await failure(client.resolve(parseReference(ref)))),
        );
        says(err ?? assert.fail(), /401 Unauthorized/, /the user me was refused, or may not pull/);
        assert.ok(registry.requests.length < 8, registry.log().join('\n'));
      }),
  },
];
