import type { View } from '../views/view.ts';
import { renderContent, renderContentInfo } from './content.ts';
import { renderExplanation, renderExplanationJson } from './explain.ts';
import { renderImageTree } from './image-tree.ts';
import { renderChecks, renderImages } from './images.ts';
import { renderPlan, renderPlanJson } from './plan.ts';
import {
  renderMounts,
  renderSnapshotInfo,
  renderSnapshots,
  renderSnapshotTree,
  renderUsage,
} from './snapshots.ts';
import { safe, safeLines } from './text.ts';

/** A view as text for standard output: '' or whole lines, safe for a terminal. */
export function renderView(view: View): string {
  switch (view.type) {
    case 'lines':
      return view.lines.map((line) => `${safe(line)}\n`).join('');
    case 'images':
      return renderImages(view.rows);
    case 'checks':
      return renderChecks(view.rows);
    case 'image-tree':
      return renderImageTree(view.inspected, view.content);
    case 'usage':
      return renderUsage(view.rows, view.inBytes);
    case 'explanation':
      return view.json
        ? renderExplanationJson(view.explanation, view.explained)
        : renderExplanation(view.explanation);
    case 'blobs':
      return renderContent(view.infos, view.now);
    case 'blob':
      return renderContentInfo(view.info);
    case 'snapshots':
      return renderSnapshots(view.infos);
    case 'snapshot-tree':
      return renderSnapshotTree(view.infos);
    case 'snapshot':
      return renderSnapshotInfo(view.info);
    case 'mounts':
      return renderMounts(view.mounts, view.target);
    case 'text':
      return safeLines(view.text);
    case 'plan':
      return view.json ? renderPlanJson(view.plan) : renderPlan(view.plan);
  }
}
