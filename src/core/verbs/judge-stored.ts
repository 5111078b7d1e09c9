/** The verb `images verify --signatures`: whether images of the store would come in now, by the signatures that the store has. */
import { storeEvidence } from '../carry/store-evidence.ts';
import { isWhole, type Leaf, leavesOf, Survey } from '../carry/survey.ts';
import type { Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, hintOf, ifFound, isKind, messageOf, reasonOf } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isIndexType } from '../oci/media-types.ts';
import { attachmentIn, parseAttachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { parseReference } from '../reference/parse.ts';
import type { Acceptance } from '../trust/verdict.ts';
import { type GateOptions, passGate } from './gate.ts';
import type { StoreDeps } from './options.ts';

export interface JudgeStoredOptions extends GateOptions, Call {
  /** Not given: all, but signatures under a name of cosign's, and CRI's own names of images that have another. */
  readonly images?: readonly Image[] | undefined;
  /** Of an index that is not signed itself: those whose manifests must be. Not given: those whose manifest and config are here. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Gets what the judges want the user to know. */
  readonly report?: Report | undefined;
}

/** What came of judging one image of a store. */
export interface JudgedImageRecord {
  /** The name of the record. */
  readonly name: string;
  /** What the record points at. */
  readonly target: Descriptor;
  /** Who vouches for the image. Empty: nobody asks for a proof of this image; or the image may not come in. */
  readonly verified: readonly Acceptance[];
  /** Why the image may not come in. Undefined: the image may. */
  readonly problem?: string | undefined;
  /** What the user can do about the problem. */
  readonly hint?: string | undefined;
}

/** Judges images of the store one by one. No registry is asked; a missing or damaged signature counts as none. */
export async function judgeStored(
  deps: Pick<StoreDeps, 'backend' | 'hostPlatform'>,
  { images, platforms, report, signal, ...gate }: JudgeStoredOptions,
): Promise<JudgedImageRecord[]> {
  const { backend, hostPlatform } = deps;
  const evidenceOf = storeEvidence(backend);
  const call = { signal };
  const judged: JudgedImageRecord[] = [];
  // Who vouches for an image is the answer.
  const tell: Report = (event) => event.type !== 'verified' && report?.(event);
  for (const { name, target } of images ?? (await allImages(backend, call))) {
    try {
      if (isDigest(name)) throw nameless(name);
      const reference = parseReference(name);
      const present = platforms ?? (await presentPlatforms(backend.content, target, call));
      const wanted = present.length === 0 ? [hostPlatform] : present;
      const subject = { reference, root: target, platforms: wanted, evidence: evidenceOf(reference) };
      const verified = await passGate({ backend: {} }, gate, subject, { ...call, report: tell });
      judged.push({ name, target, verified });
    } catch (err) {
      signal?.throwIfAborted();
      if (reasonOf(err, 'refused') === undefined && !isKind(err, ...VERDICTS)) throw err;
      judged.push({ name, target, verified: [], problem: messageOf(err), hint: hintOf(err) });
    }
  }
  return judged;
}

/** What is said of an image, and not of this machine, beside a refusal. */
const VERDICTS = ['InvalidArgument', 'DataLoss', 'NotFound', 'ResourceExhausted'] as const;

/** All that can be run by its name. Whatever an image's name looks like, only the bytes tell a signature. */
async function allImages({ images, content }: StoreDeps['backend'], call: Call): Promise<readonly Image[]> {
  const all = await images.list(call);
  const named = new Set(all.flatMap(({ name, target }) => (isDigest(name) ? [] : [target.digest])));
  const found: Image[] = [];
  for (const image of all) {
    const isSecond = isDigest(image.name) && named.has(image.target.digest);
    if (!isSecond && !(await isAttachment(content, image, call))) found.push(image);
  }
  return found;
}

/** Whether an image is signatures or attestations under a tag of cosign's. */
async function isAttachment(content: Provider, { name, target }: Image, call: Call): Promise<boolean> {
  const isNamedSo = parseAttachmentTag(name.split(':').at(-1) ?? '') !== undefined;
  if (!isNamedSo || target.size > MAX_MANIFEST_BYTES) return false;
  try {
    const bytes = await ifFound(readBlob(content, target, MAX_MANIFEST_BYTES, call));
    return bytes !== undefined && attachmentIn(bytes, target) !== undefined;
  } catch (err) {
    if (!isKind(err, 'DataLoss', 'InvalidArgument')) throw err;
    return false;
  }
}

function nameless(name: string): HawserError {
  return new HawserError('InvalidArgument', `${name}: no name says whose signatures the image needs`, {
    hint: 'Say the name by which the image came, or give the image that name again (hawser tag)',
  });
}

/** The platforms of an index whose images can be run: from layers, or from snapshots that outlive their layers. */
async function presentPlatforms(
  content: StoreDeps['backend']['content'],
  target: Descriptor,
  call: Call,
): Promise<readonly Platform[]> {
  if (!isIndexType(target.mediaType)) return [];
  const leaves = leavesOf(await new Survey(content, call).look(target)).filter(mayRun);
  return leaves.flatMap(({ desc: { platform } }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [platform],
  );
}

function mayRun(leaf: Leaf): boolean {
  if (leaf.type !== 'manifest') return isWhole(leaf);
  return leaf.missing.every(({ digest }) => digest !== leaf.manifest.config.digest);
}
