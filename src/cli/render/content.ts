import type { Info } from '../../core/content/content-store.ts';
import { goJson, goTime } from './go-json.ts';
import { labelCell } from './images.ts';
import { align, TABS } from './tabwriter.ts';
import { safe } from './text.ts';
import { age, decimalSize } from './units.ts';

/** `ctr content list`; `now` in milliseconds since the epoch. */
export function renderContent(infos: readonly Info[], now: number): string {
  const rows = infos.map((info) => {
    const cells = [
      info.digest,
      decimalSize(info.size),
      age(now - info.createdAt),
      safe(labelCell(info.labels)),
    ];
    return `${cells.join('\t')}\n`;
  });
  return align(`DIGEST\tSIZE\tAGE\tLABELS\n${rows.join('')}`, TABS);
}

/** containerd's content.Info as Go prints it. */
export function renderContentInfo(info: Info): string {
  const value = {
    Digest: info.digest,
    Size: info.size,
    CreatedAt: goTime(info.createdAt),
    UpdatedAt: goTime(info.updatedAt),
    Labels: sorted(info.labels),
  };
  return `${goJson(value, 4)}\n`;
}

/** Go prints maps sorted by key. */
export function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  const keys = Object.keys(labels).sort();
  return Object.fromEntries(keys.map((key) => [key, labels[key] ?? '']));
}
