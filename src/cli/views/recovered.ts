import type { Leftovers, RecoverReport } from '../../core/verbs/recover.ts';

export interface Recovered extends RecoverReport, Leftovers {
  /** Where the damaged database is now. */
  readonly movedTo: string | undefined;
}
