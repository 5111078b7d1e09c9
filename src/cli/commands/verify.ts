/** The commands that check what is stored: images verify, content verify, snapshots verify. */
import type { Backend } from '../../core/backend.ts';
import { HawserError } from '../../core/errors.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Report } from '../../core/progress/events.ts';
import { judgeStored } from '../../core/verbs/judge-stored.ts';
import type { VerifyOptions } from '../../core/verbs/verify.ts';
import type { NamesOf } from '../grammar/flag.ts';
import { PLATFORM, SNAPSHOTTER } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { JSON_REPORT, READ_RATE, RESUME, SIGNATURES } from '../grammar/verify-flags.ts';
import { type Context, withStore } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { judgingGate } from '../session/gate.ts';
import { withSoundFile } from '../session/sound-file.ts';
import { platformsOf, storeDeps } from '../session/transfer.ts';
import { verifyOutcome, verifyProgress } from '../session/verifying.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

type Flags = 'json' | 'limit-rate' | 'resume';

const IMAGES_FLAGS = [SNAPSHOTTER, READ_RATE, RESUME, SIGNATURES, ...GATE_FLAGS, PLATFORM, JSON_REPORT];
type ImagesContext = Context<NamesOf<typeof IMAGES_FLAGS>>;

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

async function imagesOf({ images }: Pick<Backend, 'images'>, { input, signal }: ImagesContext) {
  const found = [];
  for (const name of input.args) found.push(await findImage(images, name, { signal }));
  return found.length > 0 ? found : undefined;
}

/** `images verify --signatures`. */
async function judged(context: ImagesContext): Promise<Outcome> {
  const { input, signal } = context;
  for (const flag of [SNAPSHOTTER, READ_RATE, RESUME])
    if (input.has(flag))
      throw usageError(`--${flag.name} does not go with --signatures: nothing is unpacked or hashed`);
  const gate = await judgingGate(context);
  const warnings: string[] = [];
  const report: Report = (event) => void (event.type === 'warning' && warnings.push(event.message));
  return await withStore(context, async (backend) => {
    const images = await imagesOf(backend, context);
    const platforms = platformsOf(context);
    const options = { ...gate, images, platforms, report, signal };
    const results = await judgeStored(storeDeps(context, backend), options);
    const view = { type: 'signatures', images: results, json: input.get(JSON_REPORT) } as const;
    const refused = results.filter(({ problem }) => problem !== undefined);
    if (refused.length === 0) return { view, warnings };
    const what = `${refused.length} of ${results.length} images may not come in`;
    const hint = refused.length === 1 ? refused[0]?.hint : undefined;
    return { view, warnings, failures: [new HawserError('PermissionDenied', what, { hint })] };
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
      'With --signatures: judges whether the images would come in now, as hawser verify does, by the signatures that the store has: those that a',
      'pull was judged by or brought with --signatures, and those of an archive. Without REF: all images; with --platform, of an index that is not',
      'signed itself: whose manifests have to be (default: all whose manifest and config are here). The exit code is 1 when one may not come in.',
      '\nExamples:',
      '  hawser images verify docker.io/library/alpine:3.20',
      '  hawser images verify --signatures --verify-key cosign.pub',
      '  hawser images verify --limit-rate 50M --timeout 1h \\',
      '    --resume /var/tmp/verify.state                # again tomorrow: goes on',
    ].join('\n'),
    flags: IMAGES_FLAGS,
    run: async (context, input) => {
      if (input.get(SIGNATURES)) return await judged(context);
      for (const flag of [...GATE_FLAGS, PLATFORM])
        if (input.has(flag)) throw usageError(`flag --${flag.name} goes with --signatures`);
      return await checked(context, async (backend) => {
        const parts = backend.checker === undefined ? (['content'] as const) : undefined;
        return {
          ...{ images: await imagesOf(backend, context), parts },
          snapshotter: input.get(SNAPSHOTTER),
        };
      });
    },
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
