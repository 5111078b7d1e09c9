/** The verb `images verify --signatures`: whether images of the store would come in now, by the signatures that the store has. */
import { storeEvidence } from '../carry/store-evidence.ts';
import { isWhole, leavesOf, Survey } from '../carry/survey.ts';
import { isKind, messageOf } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { isIndexType } from '../oci/media-types.ts';
import { parseAttachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { parseReference } from '../reference/parse.ts';
import type { Acceptance } from '../trust/verdict.ts';
import { type GateOptions, passGate } from './gate.ts';
import type { StoreDeps } from './options.ts';

export interface JudgeStoredOptions extends GateOptions, Call {
  /** Not given: all, but the names that are of signatures, or of CRI's own. */
  readonly images?: readonly Image[] | undefined;
  /** Of an index that is not signed itself: those whose manifests must be. Not given: those that are here as a whole. */
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
  for (const { name, target } of images ?? (await backend.images.list(call)).filter(isOfImage)) {
    try {
      const reference = parseReference(name);
      const present = platforms ?? (await presentPlatforms(backend.content, target, call));
      const wanted = present.length === 0 ? [hostPlatform] : present;
      const subject = { reference, root: target, platforms: wanted, evidence: evidenceOf(reference) };
      const verified = await passGate({ backend: {} }, gate, subject, { ...call, report: tell });
      judged.push({ name, target, verified });
    } catch (err) {
      signal?.throwIfAborted();
      if (!isKind(err, ...VERDICTS)) throw err;
      judged.push({ name, target, verified: [], problem: messageOf(err) });
    }
  }
  return judged;
}

/** What is said of an image, and not of this machine. */
const VERDICTS = [
  'PermissionDenied',
  'InvalidArgument',
  'DataLoss',
  'NotFound',
  'ResourceExhausted',
] as const;

function isOfImage({ name }: Image): boolean {
  return !isDigest(name) && parseAttachmentTag(name.split(':').at(-1) ?? '') === undefined;
}

/** The platforms of an index that are here as a whole. */
async function presentPlatforms(
  content: StoreDeps['backend']['content'],
  target: Descriptor,
  call: Call,
): Promise<readonly Platform[]> {
  if (!isIndexType(target.mediaType)) return [];
  const leaves = leavesOf(await new Survey(content, call).look(target)).filter(isWhole);
  return leaves.flatMap(({ desc: { platform } }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [platform],
  );
}
