import { absolutePath } from '../../core/absolute-path.ts';
import type { Backend } from '../../core/backend.ts';
import { ARCHIVE_READERS } from '../../core/carry/archive-readers.ts';
import { HawserError } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import type { ImageList } from '../../core/lists/list.ts';
import type { Report } from '../../core/progress/events.ts';
import type { ImageFailure } from '../../core/progress/final-event.ts';
import type { Reference } from '../../core/reference/reference.ts';
import {
  type ExportOptions,
  type ExportResult,
  type ExportTarget,
  exportImages,
} from '../../core/verbs/export.ts';
import { bool, choice, list, type NamesOf } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { LIST_FILE, LIST_FORMS } from '../grammar/list-flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { ALL_PLATFORMS } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, warn, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { imagesOf } from '../session/image-lists.ts';
import { storeOf } from '../session/keep-out.ts';
import { otherSides } from '../session/other-side.ts';
import { platformsOf, storeDeps } from '../session/transfer.ts';
import { failedImage, nothing, outcomeOf } from '../session/transfer-many.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const PLATFORM = list({
  name: 'platform',
  value: 'OS/ARCH[/VARIANT]',
  describe: 'a platform to export (may be repeated); without it, every platform all of which is here',
});
const FORMAT = choice({
  name: 'format',
  choices: ['oci', 'oci-dir', 'docker'],
  describe:
    "an archive, a directory (the default for a name that ends with / or is a directory), or an archive of Docker's old form, which loses digests",
});
const INDEX = choice({
  name: 'index',
  choices: ['keep', 'flat', 'rewrite'],
  describe:
    'of an index that lists more than is exported: its bytes and digest (keep, the default), the one manifest (flat), or an index of what is exported (rewrite)',
});
const DOCKER = choice({
  name: 'docker',
  choices: ['auto', 'always', 'never'],
  describe: 'manifest.json for readers of Docker archives (auto: where they read the layers right)',
});
const REF_NAME = choice({
  name: 'ref-name',
  choices: ['tag', 'full'],
  describe: 'what skopeo, oras and umoci call an image by (default tag, unless two images share it)',
});
const COMPRESS = choice({
  name: 'compress',
  choices: ['none', 'gzip', 'zstd'],
  describe:
    'around the archive (default what its name ends with: .gz, .tgz, .zst; layers are compressed already)',
});
const FOR = choice({
  name: 'for',
  choices: ARCHIVE_READERS,
  describe: 'whom the archive is for: a form that they cannot read is refused',
});
const LACKS = list({
  name: 'lacks',
  value: 'FILE|DIR|docker://HOST/REPO|SOCKET',
  describe:
    'what the other side has, whose layers are left out: what hawser inventory printed there, an earlier archive or layout, a repository of a registry, the socket of a containerd (may be repeated)',
});
const REFERRERS = bool({
  name: 'referrers',
  describe: 'carry along whatever is here and is about the images: SBOMs, attestations',
});
const NO_SIGNATURES = bool({
  name: 'no-signatures',
  describe: 'leave out the signatures of the images, which go along where they are here',
});
const STRICT = bool({ name: 'strict', describe: 'fail where an index lists a platform that is not here' });
const SKIP_FOREIGN = bool({
  name: 'skip-non-distributable',
  describe: 'leave out layers that are not to be distributed',
});
const SKIP_MANIFEST_JSON = bool({ name: 'skip-manifest-json', describe: 'the same as --docker never' });

const FLAGS = [
  LIST_FILE,
  PLATFORM,
  ALL_PLATFORMS,
  FORMAT,
  COMPRESS,
  FOR,
  LACKS,
  REFERRERS,
  NO_SIGNATURES,
  INDEX,
  DOCKER,
  SKIP_MANIFEST_JSON,
  REF_NAME,
  STRICT,
  SKIP_FOREIGN,
  JSON_DOCUMENT,
  // For a registry that --lacks names.
  ...REGISTRY_FLAGS,
  ...NETWORK_FLAGS,
];
type ExportContext = Context<NamesOf<typeof FLAGS>>;

interface Found {
  readonly images: readonly Image[];
  readonly failed: readonly ImageFailure[];
}

/** Each image once, under the name of its record. Those of lists that are not here are all told. */
async function findAll(context: ExportContext, backend: Backend, listed: ImageList): Promise<Found> {
  const { input, signal } = context;
  const found = new Map<string, Image>();
  const failed: ImageFailure[] = [];
  const take = (image: Image): void => void found.set(image.name, image);
  for (const name of input.args.slice(1)) take(await findImage(backend.images, name, { signal }));
  for (const { reference } of listed.images) {
    try {
      take(requirePinned(await findImage(backend.images, reference.name, { signal }), reference));
    } catch (err) {
      signal.throwIfAborted();
      failed.push(failedImage(reference.name, err));
    }
  }
  return { images: [...found.values()], failed };
}

/** FailedPrecondition for another digest than a lock says. */
function requirePinned(image: Image, { name, digest }: Reference): Image {
  if (digest === undefined || digest === image.target.digest) return image;
  throw new HawserError('FailedPrecondition', `${name} is ${image.target.digest} here, not ${digest}`, {
    hint: 'hawser pull -f with the same list brings what the list pins',
  });
}

async function targetOf({ input, runtime, stdout, signal }: ExportContext): Promise<ExportTarget> {
  const out = input.arg(0);
  const format = input.get(FORMAT);
  if (out === '-') {
    if (input.get(JSON_DOCUMENT)) throw usageError('standard output is the archive: leave --json away');
    if (format === 'oci-dir') throw usageError('a directory cannot be written to standard output');
    if (stdout.isTerminal)
      throw usageError('an archive is not written to a terminal', 'Name a file, or pipe it to a program');
    return { type: 'bytes', sink: { write: (bytes) => stdout.write(bytes) } };
  }
  const path = absolutePath(out.length > 1 ? out.replace(/\/+$/, '') : out, runtime.host);
  const isDirectory =
    format === 'oci-dir' || (format === undefined && (out.endsWith('/') || (await isDir(path))));
  return { type: isDirectory ? 'directory' : 'file', path };

  async function isDir(path: string): Promise<boolean> {
    return (await runtime.fs.stat(`${path}/.`, { signal }).catch(() => undefined))?.type === 'directory';
  }
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org): seconds. */
function epochOf({ runtime }: ExportContext): number {
  const text = runtime.host.env('SOURCE_DATE_EPOCH') ?? '';
  if (text === '') return 0;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw usageError(`SOURCE_DATE_EPOCH is "${text}": want seconds since 1970`);
}

function wantedOf(context: ExportContext) {
  const platforms = platformsOf(context);
  const all = context.input.get(ALL_PLATFORMS);
  if (all && platforms !== undefined) throw usageError('cannot specify both --platform and --all-platforms');
  return all ? 'all' : platforms;
}

export const imagesExport: Command = command({
  path: ['images', 'export'],
  aliases: ['save'],
  short: true,
  args: ['<out>', '<ref...>'],
  instead: LIST_FILE.name,
  missing:
    'please provide a file to write (- is standard output) and the images to export, or a list with -f FILE',
  summary: 'write images to an archive or a directory that other tools read',
  details:
    'An OCI image layout, which keeps all digests, with the manifest.json that docker load and crane want. What is not here is\n' +
    'left out, and said; every blob is verified while it is copied. The same images give the same bytes (mtime 0, or\n' +
    'SOURCE_DATE_EPOCH). OUT is there and whole, or not there. Signatures of the images that are here go along, so that hawser import\n' +
    'judges by them: those that a pull was judged by, or brought with --signatures.\n' +
    LIST_FORMS,
  flags: FLAGS,
  run: async (context, input) => {
    const files = input.get(LIST_FILE);
    const to = await targetOf(context);
    const options = await optionsOf(context);
    return await withExisting(context, async (backend) => {
      const listed = await imagesOf(context, [], files);
      for (const message of listed.warnings) await warn(context, `warning: ${message}`);
      if (listed.errors.length > 0 || (files.length > 0 && listed.images.length === 0))
        return nothing(listed);
      const { images, failed } = await findAll(context, backend, listed);
      if (failed.length > 0) return outcomeOf(failed, input.args.length - 1 + listed.images.length);
      const deps = { ...storeDeps(context, backend), runtime: context.runtime };
      const warnings: string[] = [];
      const report: Report = (event) =>
        void (event.type === 'warning' && warnings.push(`warning: ${event.message}`));
      const result = await exportImages(deps, images, { ...options, to, keepOut: storeOf(context), report });
      for (const warning of warnings) await warn(context, warning);
      if (result.delta !== undefined) await warn(context, deltaText(result.delta));
      if (to.type === 'bytes') return DONE;
      const made = result.images.map(({ name, target }) => ({ name, digest: target.digest }));
      const done = made.map(({ name, digest }) => `${name} ${digest}`);
      const members = { images: made, path: to.path, signatures: result.signatures };
      return {
        view: { type: 'answer', of: 'exported', lines: done, members, json: input.get(JSON_DOCUMENT) },
      };
    });
  },
});

function deltaText({ carried, leftOut }: NonNullable<ExportResult['delta']>): string {
  return (
    `carried: ${carried.bytes} bytes (${counted(carried.blobs, 'blob')});` +
    ` left out, as the other side has it: ${leftOut.bytes} bytes (${counted(leftOut.blobs, 'layer')})`
  );
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

async function optionsOf(context: ExportContext): Promise<Omit<ExportOptions, 'to'>> {
  const { input, signal } = context;
  return {
    format: input.get(FORMAT) === 'docker' ? 'docker' : 'oci',
    platforms: wantedOf(context),
    mtime: epochOf(context),
    referrers: input.get(REFERRERS),
    signatures: !input.get(NO_SIGNATURES),
    lacks: await otherSides(context, input.get(LACKS)),
    compress: input.get(COMPRESS),
    for: input.get(FOR),
    index: input.get(INDEX),
    docker: input.get(SKIP_MANIFEST_JSON) ? 'never' : input.get(DOCKER),
    refName: input.get(REF_NAME),
    strict: input.get(STRICT),
    skipForeign: input.get(SKIP_FOREIGN),
    signal,
  };
}
