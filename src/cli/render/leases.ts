import { LEASE_EXPIRE_LABEL } from '../../core/leases/lease-store.ts';
import type { LeaseRow } from '../views/leases.ts';
import { goJson, goTime } from './go-json.ts';
import { labelCell, table } from './images.ts';

/** `ctr leases list`, times in UTC. */
export function renderLeases(rows: readonly LeaseRow[]): string {
  return table(
    ['ID', 'CREATED AT', 'LABELS'],
    rows.map(({ lease: { id, createdAt, labels } }) => [
      id,
      new Date(createdAt).toISOString().replace(/\.\d+Z$/, 'Z'),
      labelCell(labels),
    ]),
  );
}

export function renderLeasesJson(rows: readonly LeaseRow[]): string {
  const leases = rows.map(({ lease: { id, createdAt, labels }, resources }) => ({
    id,
    createdAt: goTime(createdAt),
    expires: labels[LEASE_EXPIRE_LABEL] ?? null,
    labels: { ...labels },
    resources: resources.map(({ type, id }) => ({ type, id })),
  }));
  return `${goJson({ v: 1, type: 'leases', leases })}\n`;
}
