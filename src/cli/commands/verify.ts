/** The commands that check what is stored: images verify, content verify, snapshots verify. */
import { parseDigest } from '../../core/oci/digest.ts';
import type { VerifyOptions } from '../../core/verbs/verify.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { JSON_REPORT, READ_RATE, RESUME } from '../grammar/verify-flags.ts';
import { type Context, withStore } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { withSoundFile } from '../session/sound-file.ts';
import { storeDeps } from '../session/transfer.ts';
import { verifyOutcome, verifyProgress } from '../session/verifying.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

type Flags = 'json' | 'limit-rate' | 'resume';

const NOTHING_CHANGES =
  'Nothing is changed. The exit code is 1 when something is damaged; hawser images repair mends it.';

async function checked(
  context: Context<Flags>,
  options: (
    backend: Parameters<Parameters<typeof withStore>[1]>[0],
  ) => Promise<VerifyOptions> | VerifyOptions,
): Promise<Outcome> {
  const { input, signal } = context;
  const { verify } = await import('../../core/verbs/verify.ts');
  return await withStore(context, async (backend) => {
    const wanted = await options(backend);
    const report = await withSoundFile(context, input.get(RESUME), (sound) =>
      verify(storeDeps(context, backend), {
        rate: input.get(READ_RATE),
        onProgress: verifyProgress(context),
        sound,
        signal,
        ...wanted,
      }),
    );
    return verifyOutcome(report, input.get(JSON_REPORT));
  });
}

export const verifyCommands: readonly Command[] = [
  command({
    path: ['images', 'verify'],
    args: ['[ref...]'],
    summary: 'check blobs, documents and unpacked files against their digests',
    details: [
      'Hashes every blob, reads every document, and compares each unpacked layer with its blob: types, owners, modes, times,',
      'attributes and content. Without REF: everything in the namespace. With --address: the content only.',
      NOTHING_CHANGES,
      '\nExamples:',
      '  hawser images verify docker.io/library/alpine:3.20',
      '  hawser images verify --limit-rate 50M --timeout 1h \\',
      '    --resume /var/tmp/verify.state                # again tomorrow: goes on',
    ].join('\n'),
    flags: [SNAPSHOTTER, READ_RATE, RESUME, JSON_REPORT],
    run: async (context, input) =>
      await checked(context, async (backend) => {
        const { signal } = context;
        const images = [];
        for (const name of input.args) images.push(await findImage(backend.images, name, { signal }));
        const parts = backend.checker === undefined ? (['content'] as const) : undefined;
        const snapshotter = input.get(SNAPSHOTTER);
        return { images: images.length > 0 ? images : undefined, parts, snapshotter };
      }),
  }),
  command({
    path: ['content', 'verify'],
    args: ['[digest...]'],
    summary: 'hash blobs, and check documents against what they name',
    details: NOTHING_CHANGES,
    flags: [READ_RATE, RESUME, JSON_REPORT],
    run: async (context, input) =>
      await checked(context, () => {
        const blobs = input.args.map((digest) => parseDigest(digest));
        return { blobs: blobs.length > 0 ? blobs : undefined, parts: ['content'] };
      }),
  }),
  command({
    path: ['snapshots', 'verify'],
    args: ['[key...]'],
    summary: 'compare unpacked layers with their blobs',
    details: `Types, owners, modes, times, attributes and content of each committed snapshot of an image.\n${NOTHING_CHANGES}`,
    flags: [SNAPSHOTTER, READ_RATE, RESUME, JSON_REPORT],
    run: async (context, input) =>
      await checked(context, () => ({
        snapshots: input.args.length > 0 ? input.args : undefined,
        snapshotter: input.get(SNAPSHOTTER),
        parts: ['snapshots'],
      })),
  }),
];
