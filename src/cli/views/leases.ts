import type { Lease, LeaseResource } from '../../core/leases/lease-store.ts';

export interface LeaseRow {
  readonly lease: Lease;
  readonly resources: readonly LeaseResource[];
}
