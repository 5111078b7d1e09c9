import type { RepairReport } from '../../core/verbs/repair.ts';
import type { Damage, Unchecked, VerifyReport } from '../../core/verify/report.ts';
import { goJson, type Json } from './go-json.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** Differences of one snapshot that are shown; the JSON document has more. */
const SHOWN = 10;

/** What is damaged, what could not be checked, and last what was checked. */
export function renderVerify(report: VerifyReport): string {
  const { damage, unchecked, images, blobs, bytes, snapshots, resumed } = report;
  const lines = damage.flatMap(damageLines);
  lines.push(...unchecked.map(uncheckedLine));
  const found = damage.length === 0 ? 'nothing is damaged' : `${damage.length} damaged`;
  const rest = unchecked.length === 0 ? '' : `, ${unchecked.length} not checked`;
  const sums = `${images} images, ${blobs} blobs (${binarySize(bytes)}), ${snapshots} snapshots`;
  const before = resumed === 0 ? '' : ` (${resumed} of them before it was interrupted)`;
  return [...lines, `checked ${sums}${before}: ${found}${rest}`].map((line) => `${line}\n`).join('');
}

function damageLines(damage: Damage): string[] {
  const used = damage.images.length === 0 ? '' : ` [${damage.images.map(safe).join(', ')}]`;
  if (damage.type === 'records')
    return [`damaged records: ${safe(damage.problem)} (hawser recover makes them again)`];
  if (damage.type === 'blob') return [`damaged blob ${damage.digest}${used}: ${safe(damage.problem)}`];
  if (damage.type === 'document') return [`bad document ${damage.digest}${used}: ${safe(damage.problem)}`];
  if (damage.type === 'labels') {
    const want = Object.entries(damage.want).map(([key, value]) => safe(`${key}=${value}`));
    return [`wrong labels of ${damage.digest}${used}: want ${want.join(', ')}`];
  }
  const { snapshotter, chainId, layer, problems } = damage;
  const shown = problems.slice(0, SHOWN);
  const more = problems.length - shown.length + damage.more;
  return [
    `damaged snapshot ${chainId} (${safe(snapshotter)}, layer ${layer})${used}:`,
    ...shown.map(
      ({ path, what, want, got }) => `  ${safe(path)}: ${what}: want ${safe(want)}, got ${safe(got)}`,
    ),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

/** One line: `{"v":1,"type":"verify",...}`, sizes in bytes. */
export function renderVerifyJson({ damage, unchecked, ...sums }: VerifyReport): string {
  const document = {
    v: 1,
    type: 'verify',
    sound: damage.length === 0,
    ...sums,
    damage: damage.map(damageJson),
    unchecked: unchecked.map((one) => ({ ...one })),
  };
  return `${goJson(document)}\n`;
}

function damageJson(damage: Damage): Json {
  if (damage.type === 'document' || damage.type === 'records') return { ...damage };
  if (damage.type === 'labels') return { ...damage, want: { ...damage.want } };
  if (damage.type === 'snapshot') return { ...damage, problems: damage.problems.map((one) => ({ ...one })) };
  const { desc, ...blob } = damage;
  return { ...blob, mediaType: desc?.mediaType };
}

function uncheckedLine({ snapshotter, name, why }: Unchecked): string {
  return `not checked: snapshot ${safe(name)} (${safe(snapshotter)}): ${safe(why)}`;
}

/** What was repaired and what was not, image by image. */
export function renderRepair(reports: readonly RepairReport[]): string {
  const lines = reports.flatMap(({ image, repaired, left, unchecked }) => [
    ...repaired.map((damage) => `repaired ${nameOf(damage)} [${safe(image)}]`),
    ...left.map(({ damage, why }) => `not repaired: ${nameOf(damage)} [${safe(image)}]: ${safe(why)}`),
    ...unchecked.map(uncheckedLine),
  ]);
  const count = (which: 'repaired' | 'left'): number =>
    reports.reduce((sum, report) => sum + report[which].length, 0);
  const [done, left] = [count('repaired'), count('left')];
  const found = done + left === 0 ? 'nothing was damaged' : `${done} repaired, ${left} damaged still`;
  return [...lines, `checked ${reports.length} images: ${found}`].map((line) => `${line}\n`).join('');
}

function nameOf(damage: Damage): string {
  if (damage.type === 'snapshot') return `snapshot ${damage.chainId} (${safe(damage.snapshotter)})`;
  return damage.type === 'records' ? 'records' : `${damage.type} ${damage.digest}`;
}

/** One line: `{"v":1,"type":"repair","images":[...]}`. */
export function renderRepairJson(reports: readonly RepairReport[]): string {
  const images = reports.map(({ image, repaired, left, unchecked }) => ({
    name: image,
    repaired: repaired.map(damageJson),
    left: left.map(({ damage, why }) => ({ damage: damageJson(damage), why })),
    unchecked: unchecked.map((one) => ({ ...one })),
  }));
  return `${goJson({ v: 1, type: 'repair', images })}\n`;
}
