import type { RecoverReport } from '../../core/verbs/recover.ts';

export interface Recovered extends RecoverReport {
  /** Where the damaged database is now. */
  readonly movedTo: string | undefined;
}
