/** `tags`, `catalog`, `referrers`: lists that a registry gives. */
import { wrap } from '../../core/errors.ts';
import { parseHost, parseReference } from '../../core/reference/parse.ts';
import { text } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { withRegistry } from '../session/asking.ts';
import { type Command, command } from './command.ts';

export const tags: Command = command({
  path: ['tags'],
  args: ['<ref>'],
  missing: 'please provide a repository',
  summary: 'ask the registry for the tags of a repository; nothing is stored',
  details:
    'One a line, in the order of the registry, which is asked itself and none of its mirrors. A tag or digest in the reference is ignored.',
  flags: [...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    const { signal } = context;
    const reference = parseReference(input.arg(0));
    const name = `${reference.host}/${reference.repository}`;
    const found = await withRegistry(context, reference, ({ registry }) =>
      registry.tags(reference, { signal }),
    ).catch((err) => {
      throw wrap(`failed to list the tags of ${name}`, err);
    });
    return {
      view: { type: 'names', of: 'tags', subject: { name }, names: found, json: input.get(JSON_DOCUMENT) },
    };
  },
});

export const catalog: Command = command({
  path: ['catalog'],
  args: ['<host>'],
  missing: 'please provide the host of a registry',
  summary: 'ask a registry for its repositories; nothing is stored',
  details:
    'One a line, in the order of the registry, which is asked itself and none of its mirrors. Many registries list them to nobody.',
  flags: [...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    const { signal } = context;
    const host = parseHost(input.arg(0));
    const names = await withRegistry(context, { host }, ({ registry }) =>
      registry.catalog(host, { signal }),
    ).catch((err) => {
      throw wrap(`failed to list the repositories of ${host}`, err);
    });
    const json = input.get(JSON_DOCUMENT);
    return { view: { type: 'names', of: 'repositories', subject: { host }, names, json } };
  },
});

const ARTIFACT_TYPE = text({
  name: 'artifact-type',
  value: 'TYPE',
  describe: 'only referrers of this type',
});

export const referrers: Command = command({
  path: ['referrers'],
  args: ['<ref>'],
  missing: 'please provide an image reference',
  summary: 'ask the registry what refers to a manifest: signatures, SBOMs, attestations; nothing is stored',
  details:
    'By the referrers API, else by the tag under which those who push keep the list. Types and sizes are what the list says.',
  flags: [...REGISTRY_FLAGS, ...NETWORK_FLAGS, ARTIFACT_TYPE, JSON_DOCUMENT],
  run: async (context, input) => {
    const { signal } = context;
    const reference = parseReference(input.arg(0));
    const request = { signal, artifactType: input.get(ARTIFACT_TYPE) };
    const found = await withRegistry(context, reference, ({ registry }) =>
      registry.referrers(reference, request),
    ).catch((err) => {
      throw wrap(`failed to list the referrers of "${reference.raw}"`, err);
    });
    const json = input.get(JSON_DOCUMENT);
    return { view: { type: 'referrers', name: reference.name, found, json } };
  },
});
