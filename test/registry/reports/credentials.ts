/** Reports about credentials that other tools keep. */
import assert from 'node:assert/strict';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import type { ProgramResult } from '../../../src/core/ports/programs.ts';
import { storedCredentials } from '../../../src/core/registry/credentials/sources.ts';
import type { Credential } from '../../../src/core/registry/open.ts';
import { failure } from '../../support/failure.ts';
import { basic } from '../auth.ts';
import { resolveText } from '../client.ts';
import { onRegistry, type Report, RIGHT } from './kit.ts';

interface Machine {
  readonly files: Readonly<Record<string, object | string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly helper?: (program: string, server: string) => Partial<ProgramResult>;
}

const entry = (user: string, pass: string): object => ({ auth: btoa(`${user}:${pass}`) });
const config = (document: object): Machine['files'] => ({ '/home/me/.docker/config.json': document });

/** The credential that a machine has for this host, and the programs that were run. */
async function found(
  { files, env = { HOME: '/home/me' }, helper = () => assert.fail('no program') }: Machine,
  host: string,
): Promise<{ credential: Credential | undefined; ran: string[] }> {
  const ran: string[] = [];
  const look = storedCredentials({
    env: (name: string) => env[name],
    uid: 1000,
    warn: (text: string) => assert.fail(text),
    fs: {
      readFile: async (path: string) => {
        const file = files[path];
        if (file === undefined) throw new HawserError('NotFound', `no such file: ${path}`);
        return new TextEncoder().encode(typeof file === 'string' ? file : JSON.stringify(file));
      },
    },
    programs: {
      run: async (program: string, _args: readonly string[], { input = '' }: { input?: string } = {}) => {
        ran.push(program);
        return { code: 0, stdout: '', stderr: '', ...helper(program, input) };
      },
    },
  } as never);
  return { credential: await look(host, 't/a', {}), ran };
}

/** A registry with Basic takes what this machine keeps; `document` is made for its host. */
async function opens(document: (host: string) => object): Promise<void> {
  await onRegistry({ auth: { mode: 'basic', user: 'me', pass: 'pw' } }, async ({ ref, registry }) => {
    const { credential } = await found({ files: config(document(registry.host)) }, registry.host);
    await resolveText(ref, { credentials: async () => credential });
    assert.equal(registry.requests.at(-1)?.authorization, basic('me', 'pw'));
  });
}

export const CREDENTIALS: readonly Report[] = [
  {
    report: 'podman-container-tools/podman#11636',
    behaviour: 'the helper of another registry is broken',
    verdict: RIGHT,
    check: () =>
      opens((host) => ({
        credHelpers: { '1.dkr.ecr.us-west-2.amazonaws.com': 'broken' },
        auths: { [host]: entry('me', 'pw') },
      })),
  },
  {
    report: 'containerd/nerdctl#742',
    behaviour: '`login https://HOST` keeps the credential under a key with the scheme',
    verdict: RIGHT,
    check: () => opens((host) => ({ auths: { 'other.test': {}, [`https://${host}`]: entry('me', 'pw') } })),
  },
  {
    report: 'google/go-containerregistry#233',
    behaviour:
      'the helper for all registries has no credential for a public one, and says so with exit status 1',
    verdict: RIGHT,
    check: () =>
      onRegistry({ auth: { mode: 'bearer' } }, async ({ ref, registry }) => {
        const helper = () => ({ code: 1, stdout: 'credentials not found in native keychain\n' });
        const { credential, ran } = await found(
          { files: config({ credsStore: 'osxkeychain' }), helper },
          registry.host,
        );
        assert.deepEqual([credential, ran], [undefined, ['docker-credential-osxkeychain']]);
        await resolveText(ref, { credentials: async () => credential });
      }),
  },
  {
    report: 'google/go-containerregistry#528',
    behaviour: 'a helper fails, and tells why on standard error only',
    verdict: RIGHT,
    check: async () => {
      const files = config({ credHelpers: { 'gcr.io': 'gcloud' } });
      const helper = () => ({ code: 1, stderr: 'ERROR: (gcloud.auth) Your session has expired\n' });
      const err = await failure(found({ files, helper }, 'gcr.io'));
      assert.equal(kindOf(err), 'FailedPrecondition');
      assert.match(
        err.message,
        /docker-credential-gcloud .*exit 1: ERROR: \(gcloud\.auth\) Your session has expired$/,
      );
    },
  },
  {
    report: 'awslabs/amazon-ecr-credential-helper#214',
    behaviour: '`credHelpers` has a pattern (`*.dkr.ecr.*.amazonaws.com`) as a key',
    verdict: 'not ours: keys of `credHelpers` are names, and Docker, too, asks `credsStore` here',
    check: async () => {
      const document = {
        credsStore: 'secretservice',
        credHelpers: { '*.dkr.ecr.*.amazonaws.com': 'ecr-login' },
      };
      const helper = () => ({ stdout: '{"Username":"me","Secret":"pw"}' });
      const { ran } = await found({ files: config(document), helper }, '1.dkr.ecr.eu-west-1.amazonaws.com');
      assert.deepEqual(ran, ['docker-credential-secretservice']);
    },
  },
  {
    report: 'Mirantis/cri-dockerd#349',
    behaviour: 'a systemd unit has no HOME, and the credentials are in the home directory',
    verdict: 'mended in "credentials: without HOME the home directory is that of /etc/passwd"',
    check: async () => {
      const files = {
        '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n',
        ...config({ auths: { 'reg.test': entry('me', 'pw') } }),
      };
      const { credential } = await found({ files, env: {} }, 'reg.test');
      assert.deepEqual(credential, { source: '/home/me/.docker/config.json', username: 'me', secret: 'pw' });
      assert.equal(
        (await found({ files: { ...files, '/etc/passwd': 'x' }, env: {} }, 'reg.test')).credential,
        undefined,
      );
    },
  },
  {
    report: 'podman-container-tools/skopeo#1061',
    behaviour: 'DOCKER_CONFIG names the directory of config.json',
    verdict: RIGHT,
    check: async () => {
      const files = {
        '/cfg/config.json': { auths: { 'reg.test': entry('me', 'pw') } },
        ...config({ auths: {} }),
      };
      const env = { HOME: '/home/me', DOCKER_CONFIG: '/cfg' };
      assert.equal((await found({ files, env }, 'reg.test')).credential?.source, '/cfg/config.json');
    },
  },
];
