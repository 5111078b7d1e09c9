import type { Recovered } from '../views/recovered.ts';
import { goJson } from './go-json.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** Image by image, then the sums. */
export function renderRecover({ images, skipped, blobs, bytes, movedTo }: Recovered): string {
  const lines = [
    ...(movedTo === undefined ? [] : [`the damaged database is now ${safe(movedTo)}`]),
    ...images.map(
      ({ name, complete }) => `recovered ${safe(name)}${complete ? '' : ' (parts are missing: pull again)'}`,
    ),
    ...skipped.map(({ name, why }) => `not recovered: ${safe(name)}: ${safe(why)}`),
    images.length + skipped.length === 0
      ? 'nothing was lost'
      : `${images.length} images and ${blobs} blobs (${binarySize(bytes)}) recovered, ${skipped.length} images not`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** One line: `{"v":1,"type":"recover",...}`, sizes in bytes. */
export function renderRecoverJson({ images, skipped, ...sums }: Recovered): string {
  const copies = { images: images.map((one) => ({ ...one })), skipped: skipped.map((one) => ({ ...one })) };
  return `${goJson({ v: 1, type: 'recover', ...sums, ...copies })}\n`;
}
