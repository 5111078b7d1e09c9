import type { Info, IngestStatus } from '../../core/content/content-store.ts';
import { goJson, goTime, sorted } from './go-json.ts';
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

export function renderContentJson(infos: readonly Info[]): string {
  return `${goJson({ v: 1, type: 'content', blobs: infos.map(blobJson) })}\n`;
}

export function renderBlobJson(info: Info): string {
  return `${goJson({ v: 1, type: 'blob', ...blobJson(info) })}\n`;
}

function blobJson({ digest, size, createdAt, updatedAt, labels }: Info) {
  return {
    ...{ digest, size },
    createdAt: goTime(createdAt),
    updatedAt: goTime(updatedAt),
    labels: sorted(labels),
  };
}

/** `ctr content active`: bytes so far, and since when. */
export function renderIngests(statuses: readonly IngestStatus[], now: number): string {
  const rows = statuses.map(({ ref, offset, startedAt }) => {
    const cells = [safe(ref), decimalSize(offset), age(now - startedAt)];
    return `${cells.join('\t')}\t\n`;
  });
  return align(`REF\tSIZE\tAGE\t\n${rows.join('')}`, TABS);
}

export function renderIngestsJson(statuses: readonly IngestStatus[]): string {
  const ingests = statuses.map(({ ref, offset, total, expected, startedAt, updatedAt }) => ({
    ...{ ref, offset, total, expected: expected ?? null },
    startedAt: goTime(startedAt),
    updatedAt: goTime(updatedAt),
  }));
  return `${goJson({ v: 1, type: 'ingests', ingests })}\n`;
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
