import { parseDigest } from '../../core/oci/digest.ts';
import { badValue, type Command } from '../grammar/command.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/flags.ts';
import { withRegistryOutput } from '../session/registry-output.ts';

/** RFC 6838 4.2, without parameters. */
const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i;

export const contentFetchBlob: Command = {
  path: ['content', 'fetch-blob'],
  args: ['<ref>', '<digest>', '[digest...]'],
  summary: "write blobs of a reference's repository to standard output, one after another; nothing is stored",
  details:
    'Each digest is looked for among the blobs of all hosts, then among their manifests. The bytes are checked as they are\n' +
    'written: when the exit status is not 0, throw them away.',
  flags: [
    ...REGISTRY_FLAGS,
    ...NETWORK_FLAGS,
    { name: 'media-type', type: 'text', value: 'TYPE', describe: 'ask for this media type first' },
  ],
  run: async (context, input) => {
    const digests = input.args.slice(1).map(parseDigest);
    const mediaType = input.text('media-type') ?? '';
    if (mediaType !== '' && !MEDIA_TYPE.test(mediaType)) {
      throw badValue('media-type', mediaType, 'a media type such as application/json');
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
  },
};
