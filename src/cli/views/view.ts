/** What commands return, as data; `render/view.ts` makes text of it. */
import type { GcResult } from '../../core/backend.ts';
import type { Info, IngestStatus, Labels } from '../../core/content/content-store.ts';
import type { Namespace } from '../../core/content/namespace-store.ts';
import type { GcPlan } from '../../core/gc/survey.ts';
import type { StoreUsage } from '../../core/gc/usage.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { SnapshotInfo } from '../../core/snapshots/snapshotter.ts';
import type { PruneChoice } from '../../core/verbs/prune.ts';
import type { PullPlan } from '../../core/verbs/pull-plan.ts';
import type { RepairReport } from '../../core/verbs/repair.ts';
import type { VerifyReport } from '../../core/verify/report.ts';
import type { DocumentView, JudgedView, NamesView, ReferrersView, SignaturesView } from './answers.ts';
import type { Bootstrapped } from './bootstrapped.ts';
import type { Explanation } from './explanation.ts';
import type { CheckRow, ImageRow, InspectedImage } from './images.ts';
import type { LeaseRow } from './leases.ts';
import type { Recovered } from './recovered.ts';
import type { SettingsView } from './settings.ts';
import type { UsageRow } from './usage.ts';

/** An element of an answer. */
export type Fact = Readonly<Record<string, string>>;

/** The file of a policy, and the names of images. */
export interface PolicyImages {
  readonly file: string;
  readonly images: readonly string[];
}

export type View =
  /** Names, digests, chain IDs: one a line. */
  | { readonly type: 'lines'; readonly lines: readonly string[] }
  /** A short answer: as lines, or as the members of a JSON document of type `of`. */
  | {
      readonly type: 'answer';
      readonly of: string;
      readonly lines: readonly string[];
      readonly members: Readonly<Record<string, string | boolean | readonly string[] | readonly Fact[]>>;
      readonly json: boolean;
    }
  | { readonly type: 'images'; readonly rows: readonly ImageRow[]; readonly json: boolean }
  | { readonly type: 'checks'; readonly rows: readonly CheckRow[]; readonly json: boolean }
  /** `content`: with labels and documents. */
  | {
      readonly type: 'image-tree';
      readonly inspected: InspectedImage;
      readonly content: boolean;
      readonly json: boolean;
    }
  /** `inBytes`: sizes as whole numbers. */
  | {
      readonly type: 'usage';
      readonly rows: readonly UsageRow[];
      readonly inBytes: boolean;
      readonly json: boolean;
    }
  /** `explained`: with the events. */
  | {
      readonly type: 'explanation';
      readonly explanation: Explanation;
      readonly explained: boolean;
      readonly json: boolean;
    }
  /** `now`: milliseconds since the epoch, for ages. */
  | {
      readonly type: 'blobs';
      readonly infos: readonly Info[];
      readonly now: number;
      readonly json: boolean;
    }
  | { readonly type: 'blob'; readonly info: Info; readonly json: boolean }
  | { readonly type: 'snapshots'; readonly infos: readonly SnapshotInfo[]; readonly json: boolean }
  | { readonly type: 'snapshot-tree'; readonly infos: readonly SnapshotInfo[] }
  | { readonly type: 'snapshot'; readonly info: SnapshotInfo; readonly json: boolean }
  /** The commands that mount these at `target`. */
  | {
      readonly type: 'mounts';
      readonly mounts: readonly Mount[];
      readonly target: string;
      readonly json: boolean;
    }
  /** Our own text, as it is. */
  | { readonly type: 'text'; readonly text: string }
  /** `result`: undefined of a containerd, which does not say. */
  | {
      readonly type: 'gc';
      readonly result: GcResult | undefined;
      /** The images that went by this policy; not given where none is followed. */
      readonly gone?: readonly string[];
      readonly file?: string;
      readonly json: boolean;
    }
  | { readonly type: 'gc-plan'; readonly plan: GcPlan; readonly json: boolean }
  /** `policy`: the images that it lets go. */
  | {
      readonly type: 'gc-explanation';
      readonly plan: GcPlan;
      readonly policy: PolicyImages;
      readonly json: boolean;
    }
  /** `plan`: what would go; undefined when the images are gone. */
  | {
      readonly type: 'prune';
      readonly choice: PruneChoice;
      readonly plan: GcPlan | undefined;
      readonly json: boolean;
    }
  | { readonly type: 'namespaces'; readonly namespaces: readonly Namespace[]; readonly json: boolean }
  | {
      readonly type: 'labels';
      readonly of: string;
      readonly labels: Labels;
      readonly json: boolean;
    }
  | { readonly type: 'leases'; readonly rows: readonly LeaseRow[]; readonly json: boolean }
  /** `now`: milliseconds since the epoch, for ages. */
  | {
      readonly type: 'ingests';
      readonly statuses: readonly IngestStatus[];
      readonly now: number;
      readonly json: boolean;
    }
  | { readonly type: 'df'; readonly usage: StoreUsage; readonly json: boolean }
  | { readonly type: 'verify'; readonly report: VerifyReport; readonly json: boolean }
  | { readonly type: 'repair'; readonly reports: readonly RepairReport[]; readonly json: boolean }
  | { readonly type: 'recover'; readonly report: Recovered; readonly json: boolean }
  /** Of `--json`; without it the display says it all. */
  | { readonly type: 'bootstrap'; readonly done: Bootstrapped }
  | SettingsView
  | NamesView
  | ReferrersView
  | DocumentView
  | JudgedView
  | SignaturesView
  | { readonly type: 'plan'; readonly plan: PullPlan; readonly json: boolean };

/** How a command ended that threw nothing. */
export interface Outcome {
  readonly view?: View;
  /** Lines for standard error. */
  readonly warnings?: readonly string[];
  /** The first is the error of the command; of the others their messages are told before. */
  readonly failures?: readonly unknown[];
}

/** Of a command that has written its output already, or has none. */
export const DONE: Outcome = {};

export function lines(...of: readonly string[]): View {
  return { type: 'lines', lines: of };
}
