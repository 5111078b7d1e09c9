import type { GcResult } from '../../core/backend.ts';
import type { GcCause } from '../../core/gc/mark.ts';
import type { GcItem, GcKept, GcPlan } from '../../core/gc/survey.ts';
import type { StoreUsage, Sum } from '../../core/gc/usage.ts';
import type { PolicyImages } from '../views/view.ts';
import { goJson, type Json } from './go-json.ts';
import { table } from './images.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** `undefined`: containerd has collected, and does not say what. */
export function renderGc(
  result: GcResult | undefined,
  { file, images }: PolicyImages,
  json: boolean,
): string {
  if (json) {
    const removed = result === undefined ? null : { ...result };
    return `${goJson({ v: 1, type: 'gc', images, removed })}\n`;
  }
  if (result === undefined) return 'containerd has collected its garbage\n';
  const { blobs, snapshots, bytes } = result;
  const went = images.map((name) => `removed the image ${safe(name)}, by the policy ${safe(file)}\n`);
  return `${went.join('')}removed ${counted(blobs, 'blob')} (${binarySize(bytes)}) and ${counted(snapshots, 'snapshot')}\n`;
}

const NAMES: Readonly<Record<string, string>> = {
  images: 'image',
  leases: 'lease',
  ingests: 'partial download',
  content: 'blob',
};

/** `blob`, `partial download`, `snapshot`. */
function nameOf(type: string): string {
  return NAMES[type] ?? 'snapshot';
}

function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/** `2 blobs, 1 snapshot, 1.0 MiB`. */
export function summary(items: readonly GcItem[]): string {
  const counts = new Map<string, number>();
  for (const { type } of items) counts.set(nameOf(type), (counts.get(nameOf(type)) ?? 0) + 1);
  const parts = [...counts].map(([name, count]) => counted(count, name));
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
  return parts.length === 0 ? 'nothing' : `${parts.join(', ')}, ${binarySize(bytes)}`;
}

/** What would go, line by line; of what stays a line for each root. */
export function renderGcPlan({ goes, stays }: GcPlan, json: boolean): string {
  if (json) return planJson('gc-plan', { goes, stays });
  const rows = goes.map((one) => [nameOf(one.type), one.id, one.namespace || '-', binarySize(one.bytes)]);
  const listed = rows.length === 0 ? '' : table(['KIND', 'ID', 'NAMESPACE', 'SIZE'], rows);
  const kept = [...byRoot(stays)].map(([title, items]) => `  ${safe(title)}: ${summary(items)}\n`);
  const rest = kept.length === 0 ? '' : `stays, because of\n${kept.join('')}`;
  return `${listed}would remove ${summary(goes)}\n${rest}`;
}

/** The lines say which thing keeps how much; the thing itself is not counted. */
function byRoot(stays: readonly GcKept[]): Map<string, GcKept[]> {
  const groups = new Map<string, GcKept[]>();
  for (const item of stays) {
    const title = `${rootOf(item.cause)} (${item.namespace})`;
    const group = groups.get(title) ?? [];
    groups.set(title, group);
    if (item.type !== 'leases' && item.type !== 'images') group.push(item);
  }
  return groups;
}

function rootOf({ root }: GcCause): string {
  if (root.type === 'label') return `its own label containerd.io/gc.root: ${root.id}`;
  if (root.type === 'snapshot')
    return `a layer that is being unpacked, or is not on the disk yet: ${root.id}`;
  if (root.type === 'ingest') return `a download that is under way or less than a day old: ${root.id}`;
  return `${root.type} ${root.id}`;
}

/** One thing a paragraph: whether it stays, and the way from what keeps it. */
export function renderGcExplanation(
  { goes, stays }: GcPlan,
  { file, images }: PolicyImages,
  json: boolean,
): string {
  if (json) return planJson('gc-explanation', { goes, stays });
  const kept = stays.map((item) => {
    const { root, path } = item.cause;
    const shown = path[0]?.type === 'images' && root.type === 'image' ? path.slice(1) : path;
    const way = shown.map(({ type, id }) => `  -> ${nameOf(type)} ${safe(id)}\n`);
    return `${titleOf(item)} stays\n  ${safe(rootOf(item.cause))}\n${way.join('')}`;
  });
  const lost = goes.map((item) => {
    const isByPolicy = item.type === 'images' && images.includes(item.id);
    const why = isByPolicy ? `the policy ${safe(file)} lets it go` : 'nothing keeps it';
    return `${titleOf(item)} goes with the next collection: ${why}\n`;
  });
  return [...kept, ...lost].join('');
}

function titleOf({ type, id, namespace, bytes }: GcItem): string {
  const where = namespace === '' ? '' : ` (${safe(namespace)})`;
  return `${nameOf(type)} ${safe(id)}${where}, ${binarySize(bytes)}:`;
}

function planJson(type: string, plan: Pick<GcPlan, 'goes' | 'stays'>): string {
  return `${goJson({ v: 1, type, ...planDocument(plan) })}\n`;
}

export function planDocument({ goes, stays }: Pick<GcPlan, 'goes' | 'stays'>): {
  readonly [key: string]: Json;
} {
  return {
    frees: goes.reduce((sum, { bytes }) => sum + bytes, 0),
    goes: goes.map((item) => ({ ...item })),
    stays: stays.map(({ cause, ...item }) => ({
      ...item,
      because: { ...cause.root, path: cause.path.map((node) => ({ ...node })) },
    })),
  };
}

export function renderDf(usage: StoreUsage, json: boolean): string {
  if (json) return `${goJson(dfJson(usage))}\n`;
  const images = usage.images.map(({ namespace, name, content, snapshots, unique, shared }) => [
    namespace,
    name,
    ...[content, snapshots, unique, shared].map(binarySize),
  ]);
  const header = ['NAMESPACE', 'IMAGE', 'CONTENT', 'SNAPSHOTS', 'UNIQUE', 'SHARED'];
  const row = (title: string, { count, bytes }: Sum) => [title, String(count), binarySize(bytes)];
  const whole = [
    row('content', usage.content),
    row('snapshots', usage.snapshots),
    row('partial downloads', usage.partial),
    row('files without a record', usage.strays),
    ['database and other files', '-', binarySize(usage.records)],
    ['total', '-', binarySize(usage.total)],
    ['reclaimable (hawser gc)', '-', binarySize(usage.reclaimable)],
  ];
  const top = images.length === 0 ? '' : `${table(header, images)}\n`;
  return `${top}${table(['WHOLE STORE', 'COUNT', 'SIZE'], whole)}`;
}

function dfJson({ images, content, snapshots, partial, strays, ...rest }: StoreUsage) {
  return {
    ...{ v: 1, type: 'df' },
    images: images.map((one) => ({ ...one })),
    ...{
      content: { ...content },
      snapshots: { ...snapshots },
      partial: { ...partial },
      strays: { ...strays },
    },
    ...rest,
  };
}
