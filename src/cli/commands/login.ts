import { parseHost } from '../../core/reference/parse.ts';
import { text } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { logIn, logOut } from '../session/logins.ts';
import { type Command, command } from './command.ts';

const DOCKER_HUB = 'docker.io';

const HELPER = text({
  name: 'helper',
  value: 'NAME',
  describe: 'keep the credentials in docker-credential-NAME, and name it in the file for this registry',
});

export const login: Command = command({
  path: ['login'],
  args: ['[host]'],
  summary: 'keep credentials for a registry, once the registry has taken them',
  details:
    'They go to the helper that $DOCKER_CONFIG/config.json (~/.docker/config.json) names for the registry, or into that file, which is said.\n' +
    'docker, podman, crane and hawser find them there. Without HOST: Docker Hub.\n\n' +
    'Example:\n  echo "$TOKEN" | hawser login --user NAME --password-stdin ghcr.io',
  flags: [HELPER, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    const host = parseHost(input.arg(0) || DOCKER_HUB);
    const { username, place } = await logIn(context, host, input.get(HELPER));
    const lines = [`logged in to ${host} as ${username}, kept in ${place}`];
    const members = { host, username, place };
    return { view: { type: 'answer', of: 'login', lines, members, json: input.get(JSON_DOCUMENT) } };
  },
});

export const logout: Command = command({
  path: ['logout'],
  args: ['[host]'],
  summary: 'remove the credentials that login has kept for a registry',
  details: 'Without HOST: Docker Hub. What is found elsewhere (podman, a variable) stays, and is told.',
  flags: [JSON_DOCUMENT],
  run: async (context, input) => {
    const host = parseHost(input.arg(0) || DOCKER_HUB);
    const place = await logOut(context, host);
    const lines = [
      place === undefined
        ? `no credentials were kept for ${host}`
        : `logged out of ${host}: removed from ${place}`,
    ];
    const members = { host, ...(place === undefined ? {} : { place }) };
    return { view: { type: 'answer', of: 'logout', lines, members, json: input.get(JSON_DOCUMENT) } };
  },
});
