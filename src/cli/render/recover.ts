import type { Recovered } from '../views/recovered.ts';
import { goJson } from './go-json.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** Image by image, then the sums. */
export function renderRecover({ images, skipped, taken, blobs, bytes, ...rest }: Recovered): string {
  const { movedTo, directories, keptBy, unjudged } = rest;
  const lines = [
    ...(movedTo === undefined ? [] : [`the damaged database is now ${safe(movedTo)}`]),
    ...images.map(
      ({ name, complete }) => `recovered ${safe(name)}${complete ? '' : ' (parts are missing: pull again)'}`,
    ),
    ...[...skipped, ...taken].map(({ name, why }) => `not recovered: ${safe(name)}: ${safe(why)}`),
    images.length + skipped.length + taken.length === 0
      ? 'nothing was lost'
      : `${images.length} images and ${blobs} blobs (${binarySize(bytes)}) recovered, ${skipped.length + taken.length} images not`,
    ...(unjudged.length === 0
      ? []
      : [
          `${unjudged.length} of the images are indexes: which of their entries a policy had let in is not known any more. ` +
            'Where one holds, judge the images again (hawser images verify --signatures)',
        ]),
    ...(directories === 0
      ? []
      : [
          `${directories} directories in snapshots/ have no record: layers, which unpacking makes anew, and what was written into snapshots. ` +
            `They stay until you remove ${keptBy.map(safe).join(' ')}`,
        ]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** One line: `{"v":1,"type":"recover",...}`, sizes in bytes. */
export function renderRecoverJson({ images, skipped, taken, unjudged, keptBy, ...sums }: Recovered): string {
  const copies = {
    images: images.map((one) => ({ ...one })),
    skipped: skipped.map((one) => ({ ...one })),
    taken: taken.map((one) => ({ ...one })),
    unjudged: [...unjudged],
    keptBy: [...keptBy],
  };
  return `${goJson({ v: 1, type: 'recover', ...sums, ...copies })}\n`;
}
