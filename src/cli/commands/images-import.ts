import { type Digest, isDigest } from '../../core/oci/digest.ts';
import type { Report } from '../../core/progress/events.ts';
import { type ImportOptions, importImages } from '../../core/verbs/import.ts';
import { ARCHIVE_FLAGS, BASE_NAME, COMPLETE_ONLY, NAME, SKIP_BAD } from '../grammar/archive-flags.ts';
import { bool, choice, type NamesOf } from '../grammar/flag.ts';
import { DISPLAY_FLAGS, JOBS, LABEL, PLATFORM, SNAPSHOTTER } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { ALL_PLATFORMS, RECORD_FLAGS, REPORT, TRACE } from '../grammar/transfer-flags.ts';
import { SHA256, URL_FLAGS } from '../grammar/url-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { archiveUrl, withArchive } from '../session/archive-url.ts';
import { type Context, withBackend } from '../session/context.ts';
import { gateOptions } from '../session/gate.ts';
import { withTracing } from '../session/tracing.ts';
import { displayed, labelsOf, platformsOf, recordOptions, storeDeps } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const DIGESTS = bool({ name: 'digests', describe: 'record each image as REPOSITORY@DIGEST, too' });
const SKIP_DIGEST = bool({
  name: 'skip-digest-for-named',
  describe: 'with --digests: only images without a name',
});
const ON_CONFLICT = choice({
  name: 'on-conflict',
  choices: ['replace', 'keep', 'error'],
  describe: 'of a name that another image has here (default replace)',
});
const NO_UNPACK = bool({ name: 'no-unpack', describe: 'store and record only' });

const FLAGS = [
  ...ARCHIVE_FLAGS,
  DIGESTS,
  SKIP_DIGEST,
  ON_CONFLICT,
  NO_UNPACK,
  PLATFORM,
  ALL_PLATFORMS,
  LABEL,
  ...RECORD_FLAGS,
  ...GATE_FLAGS,
  SNAPSHOTTER,
  JOBS,
  ...LAYER_FLAGS,
  ...DISPLAY_FLAGS,
  TRACE,
  REPORT,
  bool({ name: 'local', describe: 'accepted: hawser always does the work itself, as ctr --local' }),
  SHA256,
  ...URL_FLAGS,
  bool({
    name: 'sync-fs',
    describe: 'accepted: layers are always made durable before the image is recorded',
  }),
];
type ImportContext = Context<NamesOf<typeof FLAGS>>;

function wantedOf(context: ImportContext) {
  const platforms = platformsOf(context);
  const all = context.input.get(ALL_PLATFORMS);
  if (all && platforms !== undefined) throw usageError('cannot specify both --platform and --all-platforms');
  return all ? 'all' : platforms;
}

function digestOf(text: string | undefined): Digest | undefined {
  if (text === undefined) return undefined;
  const digest = `sha256:${text.replace(/^sha256:/, '')}`;
  if (isDigest(digest)) return digest;
  throw usageError('--sha256 takes 64 hexadecimal digits in lower case', 'sha256sum FILE prints them');
}

export const imagesImport: Command = command({
  path: ['images', 'import'],
  aliases: ['load'],
  short: true,
  args: ['<in>'],
  missing: 'please provide an archive to import (- is standard input)',
  summary: 'take images out of an archive or a directory, unpacked',
  details:
    'IN is an OCI image layout or what docker save makes: an archive (plain, gzip or zstd: its content tells) or a directory;\n' +
    'or the https URL of an archive, which is gone on with when the connection is lost. All is verified, and images are recorded last. Exit status 4: the archive builds upon blobs that are not here, and nothing was imported. What is here already is not read again; an import that was cut off goes on where it stopped.',
  flags: FLAGS,
  run: async (context, input) => {
    const source = input.arg(0);
    archiveUrl(context, source);
    const options = optionsOf(context);
    await withBackend(context, async (backend) => {
      const deps = { ...storeDeps(context, backend), runtime: context.runtime };
      await withTracing(context, (trace) =>
        displayed(context, { unpacks: false, printChainId: false }, async (show) => {
          const report: Report = (event) => {
            show(event);
            trace?.(event);
          };
          const { images } = await withArchive(context, source, report, (from) =>
            importImages(deps, { ...options, from, report }),
          );
          return images;
        }),
      );
    });
    return DONE;
  },
});

function optionsOf(context: ImportContext): Omit<ImportOptions, 'from'> {
  const { input, signal } = context;
  return {
    digest: digestOf(input.get(SHA256)),
    platforms: wantedOf(context),
    baseName: input.get(BASE_NAME),
    name: input.get(NAME),
    digests: input.get(DIGESTS),
    skipDigestForNamed: input.get(SKIP_DIGEST),
    skipBadNames: input.get(SKIP_BAD),
    ...gateOptions(context),
    onConflict: input.get(ON_CONFLICT),
    completeOnly: input.get(COMPLETE_ONLY),
    unpack: !input.get(NO_UNPACK),
    snapshotter: input.get(SNAPSHOTTER),
    layerSettings: { ...layerSettings(input), jobs: input.get(JOBS) },
    labels: labelsOf(input.get(LABEL)),
    ...recordOptions(context),
    signal,
  };
}
