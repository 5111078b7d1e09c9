/** Reports about overload, lost connections and waits. */
import assert from 'node:assert/strict';
import { hintOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { askedWait } from '../../../src/core/registry/retry.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { failure } from '../../support/failure.ts';
import { resolveText, withClient } from '../client.ts';
import type { Fault } from '../faults.ts';
import { onRegistry, type Report, RIGHT } from './kit.ts';

const TOO_MANY = JSON.stringify({
  errors: [{ code: 'TOOMANYREQUESTS', message: 'retry-after: 985.86µs, allowed: 44000/minute' }],
});

/** The pull goes through although the registry, which gives tokens to all, has these faults. */
const through =
  (...faults: readonly Fault[]) =>
  (): Promise<void> =>
    onRegistry({ auth: { mode: 'bearer' }, faults }, ({ take }) => take());

export const PATIENCE: readonly Report[] = [
  {
    report: 'docker/hub-feedback#2459',
    behaviour: 'Retry-After is a time since 1970 (Docker Hub)',
    verdict: RIGHT,
    check: () =>
      onRegistry({ faults: [{ status: 429, retryAfter: 1746136938, times: 2 }] }, async ({ ref }) => {
        const err = await failure(resolveText(ref));
        assert.equal(askedWait(err), undefined);
        assert.doesNotMatch(hintOf(err) ?? '', /17461/);
        await resolveText(ref, { retry: { tries: 2 } });
      }),
  },
  {
    report: 'alexklibisz/terraform-provider-terrifi#50',
    behaviour: 'GHCR answers 429 and names a wait of microseconds in its message',
    verdict: RIGHT,
    check: through({ match: '/blobs/', status: 429, body: TOO_MANY, times: 2 }),
  },
  {
    report: 'containerd/nerdctl#3601',
    behaviour: 'Docker Hub limits pulls: 429 to HEAD, which has no words',
    verdict: RIGHT,
    check: () =>
      onRegistry({ faults: [{ status: 429 }] }, async ({ ref, registry }) => {
        const err = await failure(resolveText(ref));
        assert.match(err.message, /429 Too Many Requests/);
        assert.match(hintOf(err) ?? '', /limits how much may be pulled.*--user/);
        assert.equal(registry.requests.length, 1, 'no second request, which would count');
      }),
  },
  {
    report: 'podman-container-tools/podman#17802',
    behaviour: 'quay.io answers 502 now and then: to token requests, manifests and blobs',
    verdict: RIGHT,
    check: through(
      { match: '/token', status: 502, times: 1 },
      { match: '/manifests/', status: 502, times: 2 },
      { match: '/blobs/', status: 502, times: 2 },
    ),
  },
  {
    report: 'project-zot/zot#4246',
    behaviour:
      'a mirror that fetches on demand closes the connection instead of an answer to the first requests',
    verdict: RIGHT,
    check: through({ match: '/manifests/', raw: '', times: 2 }),
  },
  {
    report: 'project-zot/zot#2416',
    behaviour: 'a proxy before a mirror that fetches on demand gives up: 504 and a page',
    verdict: RIGHT,
    check: through({ match: '/manifests/', status: 504, body: '<html>', contentType: 'text/html', times: 2 }),
  },
  {
    report: 'pelagos-containers/pelagos#202',
    behaviour: 'the connection was dropped while a token was asked for: the next request on it is reset',
    verdict: RIGHT,
    check: through({ match: '/manifests/', skip: 1, times: 1, reset: true }),
  },
  {
    report: 'distribution/distribution#4723',
    behaviour: 'a connection is stuck: requests on it get no answer at all',
    verdict: RIGHT,
    check: () =>
      onRegistry({ faults: [{ match: '/manifests/', hang: true, times: 1 }] }, async ({ ref }) => {
        const options = { clock: createClock(), limits: { headers: 300 }, retry: { tries: 1 } };
        const { root } = await withClient(options, (client) => client.resolve(parseReference(ref)));
        assert.match(root.digest, /^sha256:/);
      }),
  },
];
