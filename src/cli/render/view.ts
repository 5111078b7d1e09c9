import type { View } from '../views/view.ts';
import { renderDocument, renderJudged, renderNames, renderReferrers, renderSignatures } from './answers.ts';
import { renderBootstrap } from './bootstrap.ts';
import {
  renderBlobJson,
  renderContent,
  renderContentInfo,
  renderContentJson,
  renderIngests,
  renderIngestsJson,
} from './content.ts';
import { renderExplanation, renderExplanationJson } from './explain.ts';
import { renderDf, renderGc, renderGcExplanation, renderGcPlan } from './gc.ts';
import { goJson } from './go-json.ts';
import { renderImageJson, renderImageTree } from './image-tree.ts';
import { renderChecks, renderChecksJson, renderImages, renderImagesJson } from './images.ts';
import { renderLabels } from './labels.ts';
import { renderLeases, renderLeasesJson } from './leases.ts';
import { renderNamespaces, renderNamespacesJson } from './namespaces.ts';
import { renderPlan, renderPlanJson } from './plan.ts';
import { renderPrune } from './prune.ts';
import { renderRecover, renderRecoverJson } from './recover.ts';
import { renderSettings } from './settings.ts';
import {
  renderMounts,
  renderMountsJson,
  renderSnapshotInfo,
  renderSnapshotJson,
  renderSnapshots,
  renderSnapshotsJson,
  renderSnapshotTree,
  renderUsage,
  renderUsageJson,
} from './snapshots.ts';
import { safe, safeLines } from './text.ts';
import { renderRepair, renderRepairJson, renderVerify, renderVerifyJson } from './verify.ts';

type Renderers = {
  readonly [T in View['type']]: (view: Extract<View, { type: T }>, columns: number | undefined) => string;
};

const RENDERERS: Renderers = {
  lines: (view) => view.lines.map((line) => `${safe(line)}\n`).join(''),
  answer: ({ json, of, members, lines }) =>
    json ? `${goJson({ v: 1, type: of, ...members })}\n` : lines.map((line) => `${safe(line)}\n`).join(''),
  images: ({ json, rows }, columns) => (json ? renderImagesJson(rows) : renderImages(rows, columns)),
  checks: ({ json, rows }) => (json ? renderChecksJson(rows) : renderChecks(rows)),
  'image-tree': ({ json, inspected, content }) =>
    json ? renderImageJson(inspected, content) : renderImageTree(inspected, content),
  usage: ({ json, rows, inBytes }) => (json ? renderUsageJson(rows) : renderUsage(rows, inBytes)),
  explanation: ({ json, explanation, explained }) =>
    json ? renderExplanationJson(explanation, explained) : renderExplanation(explanation),
  blobs: ({ json, infos, now }) => (json ? renderContentJson(infos) : renderContent(infos, now)),
  blob: ({ json, info }) => (json ? renderBlobJson(info) : renderContentInfo(info)),
  snapshots: ({ json, infos }) => (json ? renderSnapshotsJson(infos) : renderSnapshots(infos)),
  'snapshot-tree': (view) => renderSnapshotTree(view.infos),
  snapshot: ({ json, info }) => (json ? renderSnapshotJson(info) : renderSnapshotInfo(info)),
  mounts: ({ json, mounts, target }) =>
    json ? renderMountsJson(mounts, target) : renderMounts(mounts, target),
  text: (view) => safeLines(view.text),
  gc: ({ result, gone = [], file = '', json }) => renderGc(result, { file, images: gone }, json),
  'gc-plan': (view) => renderGcPlan(view.plan, view.json),
  'gc-explanation': (view) => renderGcExplanation(view.plan, view.policy, view.json),
  prune: (view) => renderPrune(view.choice, view.plan, view.json),
  namespaces: ({ json, namespaces }) =>
    json ? renderNamespacesJson(namespaces) : renderNamespaces(namespaces),
  labels: (view) => renderLabels(view.of, view.labels, view.json),
  leases: ({ json, rows }) => (json ? renderLeasesJson(rows) : renderLeases(rows)),
  ingests: ({ json, statuses, now }) => (json ? renderIngestsJson(statuses) : renderIngests(statuses, now)),
  df: (view) => renderDf(view.usage, view.json),
  verify: ({ json, report }) => (json ? renderVerifyJson(report) : renderVerify(report)),
  repair: ({ json, reports }) => (json ? renderRepairJson(reports) : renderRepair(reports)),
  recover: ({ json, report }) => (json ? renderRecoverJson(report) : renderRecover(report)),
  bootstrap: ({ done }) => renderBootstrap(done),
  settings: renderSettings,
  names: renderNames,
  referrers: renderReferrers,
  document: renderDocument,
  judged: renderJudged,
  signatures: renderSignatures,
  plan: ({ json, plan }) => (json ? renderPlanJson(plan) : renderPlan(plan)),
};

/** A view as text for standard output: '' or whole lines, safe for a terminal. `columns`: of the terminal; undefined: everything is said. */
export function renderView(view: View, columns?: number): string {
  const render = RENDERERS[view.type] as (view: View, columns: number | undefined) => string;
  return render(view, columns);
}
