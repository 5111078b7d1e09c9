/** The labels that tie content together, against what the documents say. */
import type { Labels } from '../content/content-store.ts';
import { childLabels, convertedLabels, snapshotLabelKey, UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';

const SNAPSHOT_PREFIX = snapshotLabelKey('');

/**
 * The changes after which the labels of a document say which children it has; undefined when none is needed. A label that is not there
 * was let go of on purpose (content prune references).
 */
export function childLabelsFix(children: readonly Descriptor[], labels: Labels): Labels | undefined {
  const fixes = [childLabels(children), convertedLabels(children)].map((wanted) => fixOf(wanted, labels));
  return fixes.some((fix) => Object.keys(fix).length === 0) ? undefined : fixes[0];
}

function fixOf(wanted: Labels, labels: Labels): Labels {
  const fix: Record<string, string> = {};
  for (const [key, digest] of Object.entries(wanted)) {
    if (labels[key] === digest) continue;
    const others = Object.keys(labels).filter((other) => labels[other] === digest && !(other in wanted));
    if (labels[key] === undefined && others.length === 0) continue;
    fix[key] = digest;
    for (const other of others) fix[other] = '';
  }
  return fix;
}

/** The same for a layer's diff ID. */
export function diffIdFix(diffId: string, labels: Labels): Labels | undefined {
  const found = labels[UNCOMPRESSED_LABEL];
  return found === undefined || found === diffId ? undefined : { [UNCOMPRESSED_LABEL]: diffId };
}

/** The same for the snapshots that a config keeps: the topmost of its layers. */
export function snapshotLabelsFix(chainId: string, labels: Labels): Labels | undefined {
  const wrong = Object.keys(labels).filter(
    (key) => key.startsWith(SNAPSHOT_PREFIX) && labels[key] !== chainId,
  );
  return wrong.length === 0 ? undefined : Object.fromEntries(wrong.map((key) => [key, chainId]));
}
