/** Answers of registries, as text and as JSON. */
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Digest } from '../../core/oci/digest.ts';
import { parseJson } from '../../core/oci/json.ts';
import type { Acceptance } from '../../core/trust/verdict.ts';
import type { DocumentView, JudgedView, NamesView, ReferrersView, SignaturesView } from '../views/answers.ts';
import { goJson, sorted } from './go-json.ts';
import { table } from './images.ts';
import { redact, safe } from './text.ts';
import { binarySize } from './units.ts';
import { verifiedLine } from './verified.ts';

/** `{"v":1,"type":"tags","name":...,"tags":[...]}`; for repositories `host`. */
export function renderNames({ of, subject, names, json }: NamesView): string {
  if (!json) return names.map((name) => `${safe(name)}\n`).join('');
  return `${goJson({ v: 1, type: of, ...subject, [of]: names })}\n`;
}

export function renderReferrers({ name, found, json }: ReferrersView): string {
  const { subject, source, referrers } = found;
  if (json) {
    const all = referrers.map((one) => ({
      ...fields(one),
      artifactType: one.artifactType ?? null,
      annotations: sorted(one.annotations ?? {}),
    }));
    return `${goJson({ v: 1, type: 'referrers', name, subject: fields(subject), source, referrers: all })}\n`;
  }
  if (referrers.length === 0) return '';
  return table(
    ['TYPE', 'DIGEST', 'SIZE'],
    referrers.map(({ artifactType, mediaType, digest, size }) => [
      artifactType ?? mediaType,
      digest,
      binarySize(size),
    ]),
  );
}

/** `{"v":1,"type":"manifest","name":...,"descriptor":{...},"document":{...}}`. */
export function renderDocument({ of, name, document: { desc, bytes } }: DocumentView): string {
  const document = parseJson(bytes, `the ${of} ${desc.digest}`);
  return `${goJson({ v: 1, type: of, name, descriptor: fields(desc), document })}\n`;
}

/** `{"v":1,"type":"judged","name":...,"digest":...,"verified":[...]}`. */
export function renderJudged({ judged: { name, target, verified }, json }: JudgedView): string {
  const { digest } = target;
  const vouchers = verified.flatMap((one) => one.vouchers);
  if (json)
    return `${goJson({ v: 1, type: 'judged', name, digest, verified: vouchers.map((one) => ({ ...one })) })}\n`;
  return judgedLines(name, digest, verified);
}

function judgedLines(name: string, target: Digest, verified: readonly Acceptance[]): string {
  if (verified.length === 0) return `${safe(name)}: ${target} may come in, and nobody vouches for it\n`;
  return verified
    .map(({ by, vouchers }) => `${verifiedLine({ type: 'verified', name, target, by, vouchers })}\n`)
    .join('');
}

/** A line for each image, and last how many there are. As JSON `{"v":1,"type":"signatures","sound":...,"images":[...]}`. */
export function renderSignatures({ images, json }: SignaturesView): string {
  const refused = images.filter(({ problem }) => problem !== undefined);
  if (json) {
    const all = images.map(({ name, target, verified, problem, hint }) => ({
      name,
      digest: target.digest,
      verified: verified.flatMap(({ vouchers }) => vouchers.map((one) => ({ ...one }))),
      problem: problem ?? null,
      ...(hint === undefined ? {} : { hint }),
    }));
    return `${goJson({ v: 1, type: 'signatures', sound: refused.length === 0, images: all })}\n`;
  }
  // Of one refusal alone, the error has the hint.
  const told = (hint?: string) =>
    hint === undefined || refused.length === 1 ? '' : `  hint: ${safe(redact(hint))}\n`;
  const lines = images.map(({ name, target, verified, problem, hint }) =>
    problem === undefined
      ? judgedLines(name, target.digest, verified)
      : `refused ${safe(redact(problem))}\n${told(hint)}`,
  );
  if (images.length === 0) return 'judged 0 images: there is none to judge\n';
  const found =
    refused.length === 0 ? 'all of them may come in' : `${refused.length} of them may not come in`;
  return `${lines.join('')}judged ${images.length} images: ${found}\n`;
}

function fields({ mediaType, digest, size }: Descriptor) {
  return { mediaType, digest, size };
}
