import { parseDigest } from '../../core/oci/digest.ts';
import { badValue, text } from '../grammar/flag.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { withRegistryOutput } from '../session/registry-output.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

/** A media type by RFC 6838 4.2, without parameters. */
const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i;

const TYPE = text({
  name: 'media-type',
  value: 'TYPE',
  describe: 'ask for this media type first',
});

export const contentFetchBlob: Command = command({
  path: ['content', 'fetch-blob'],
  args: ['<ref>', '<digest>', '[digest...]'],
  summary: "write blobs of a reference's repository to standard output, one after another; nothing is stored",
  details:
    'Each digest is looked for among the blobs of all hosts, then among their manifests. The bytes are checked as they are\n' +
    'written: when the exit status is not 0, throw them away.',
  flags: [...REGISTRY_FLAGS, ...NETWORK_FLAGS, TYPE],
  run: async (context, input) => {
    const digests = input.args.slice(1).map(parseDigest);
    const mediaType = input.get(TYPE) ?? '';
    if (mediaType !== '' && !MEDIA_TYPE.test(mediaType)) {
      throw badValue('--media-type', mediaType, 'want a media type such as application/json');
    }
    await withRegistryOutput(context, async ({ registry, reference, write }) => {
      for (const digest of digests) {
        const { desc, fetcher } = await registry.find(reference, digest, {
          mediaType,
          signal: context.signal,
        });
        await write(desc, fetcher);
      }
    });
    return DONE;
  },
});
