import { blobKind } from '../../core/content/blob-key.ts';
import { EXPANSION } from '../../core/layers/expanded-size.ts';
import type { PlannedBlob } from '../../core/verbs/plan-store.ts';
import type { PlannedUnpack, PullPlan } from '../../core/verbs/pull-plan.ts';
import { goJson } from './go-json.ts';
import { align } from './tabwriter.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

interface Sum {
  readonly blobs: number;
  readonly bytes: number;
}

/** A row for each blob, then the sums to download and to unpack. */
export function renderPlan(plan: PullPlan): string {
  const { name, root, blobs, unpacks } = plan;
  const rows = blobs.map(({ desc, present }) => [
    blobKind(desc.mediaType),
    desc.digest,
    binarySize(desc.size),
    present ? 'present' : 'to fetch',
  ]);
  const table = [['KIND', 'DIGEST', 'SIZE', 'STATE'], ...rows].map((row) => `${row.join('\t')}\t\n`);
  const [there, here] = [sum(blobs, false), sum(blobs, true)];
  return [
    `${safe(name)} ${root.digest}\n`,
    align(table.join('')),
    `to download: ${binarySize(there.bytes)} in ${there.blobs} blobs; `,
    `present: ${binarySize(here.bytes)} in ${here.blobs} blobs\n`,
    ...unpacks.map(unpackLine),
    'Only manifests and configs were read, and nothing was stored.\n',
  ].join('');
}

function sum(blobs: readonly PlannedBlob[], present: boolean): Sum {
  const those = blobs.filter((blob) => blob.present === present);
  return { blobs: those.length, bytes: those.reduce((total, { desc }) => total + desc.size, 0) };
}

/** `guessed`: the number of sizes that are estimated from the compressed size. */
function unpackLine({ platform, layers, ready, size, guessed }: PlannedUnpack): string {
  const left = layers - ready;
  if (left === 0) return `${safe(platform)}: all ${layers} layers are unpacked\n`;
  const about = guessed === 0 ? '' : 'about ';
  const how =
    guessed === 0
      ? 'all sizes are known'
      : `${left - guessed} sizes are known, ${guessed} estimated at ${EXPANSION} times the compressed size`;
  return `${safe(platform)}: ${left} of ${layers} layers to unpack, ${about}${binarySize(size)} (${how})\n`;
}

/** One line: `{"v":1,"type":"plan",...}`, sizes in bytes. */
export function renderPlanJson({ name, root, blobs, unpacks }: PullPlan): string {
  const [there, here] = [sum(blobs, false), sum(blobs, true)];
  const document = {
    v: 1,
    type: 'plan',
    name,
    root: { mediaType: root.mediaType, digest: root.digest, size: root.size },
    blobs: blobs.map(({ desc: { mediaType, digest, size }, present }) => ({
      mediaType,
      digest,
      size,
      present,
    })),
    toDownload: { ...there },
    present: { ...here },
    unpacks: unpacks.map((one) => ({ ...one })),
    expansion: EXPANSION,
  };
  return `${goJson(document)}\n`;
}
