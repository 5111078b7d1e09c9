import { parseHost } from '../../core/reference/parse.ts';
import { isHelperName } from '../../core/registry/credentials/auth-file.ts';
import { badValue, type Text, text } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { logIn, logOut } from '../session/logins.ts';
import { type Command, command } from './command.ts';

const DOCKER_HUB = 'docker.io';

const NAME = text({
  name: 'helper',
  value: 'NAME',
  describe: 'keep the credentials in docker-credential-NAME, and name it in the file for this registry',
});
const HELPER: Text<'helper'> = {
  ...NAME,
  parse: (texts, source) => {
    const name = NAME.parse(texts, source);
    if (name !== undefined && !isHelperName(name))
      throw badValue(source, name, 'want what follows docker-credential- in the name of a program');
    return name;
  },
};

/** Docker Hub only where no host is given: an empty one is a variable of a script that is not set. */
function hostOf({ args: [host = DOCKER_HUB] }: { readonly args: readonly string[] }): string {
  if (host === '')
    throw usageError(
      'the host of the registry is empty',
      'Name the registry; without an argument it is Docker Hub',
    );
  return parseHost(host);
}

export const login: Command = command({
  path: ['login'],
  args: ['[host]'],
  summary: 'keep credentials for a registry, once the registry has taken them',
  details:
    'They go to the helper that $DOCKER_CONFIG/config.json (~/.docker/config.json) names for the registry, or into that file, which is said.\n' +
    'docker, podman, crane and hawser find them there. Without HOST: Docker Hub. On a terminal it asks for what is not given.\n\n' +
    'Example:\n  echo "$TOKEN" | hawser login --user NAME --password-stdin ghcr.io',
  flags: [HELPER, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    const host = hostOf(input);
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
    const host = hostOf(input);
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
