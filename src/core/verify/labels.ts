/** The labels that tie content together, against what the documents say. */
import type { Labels } from '../content/content-store.ts';
import {
  childLabels,
  convertedLabels,
  isByEntries,
  isLayerLabel,
  keepsConfig,
  snapshotLabelKey,
  UNCOMPRESSED_LABEL,
} from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';

const SNAPSHOT_PREFIX = snapshotLabelKey('');

/**
 * The changes after which the labels of a document keep its children; undefined when none is needed. No label is needed for a child that
 * is not here, for an entry of an index that was not let in, and for a layer whose manifest keeps its config: it was let go of on purpose
 * (content prune references).
 */
export function childLabelsFix(
  { mediaType }: Pick<Descriptor, 'mediaType'>,
  children: readonly Descriptor[],
  labels: Labels,
  isHere: (digest: Digest) => boolean = () => true,
): Labels | undefined {
  const mayLack = (key: string, digest: Digest): boolean =>
    !isHere(digest) || isByEntries(labels) || (mayLackLayers(mediaType, labels) && isLayerLabel(key));
  const fixes = [childLabels(children), convertedLabels(children)].map((wanted) =>
    fixOf(wanted, labels, mayLack),
  );
  return fixes.some((fix) => Object.keys(fix).length === 0) ? undefined : fixes[0];
}

/** Whether the layers of a document with these labels may have been let go of on purpose. */
export function mayLackLayers(mediaType: string, labels: Labels): boolean {
  return keepsConfig(mediaType, labels);
}

function fixOf(wanted: Labels, labels: Labels, mayLack: (key: string, digest: Digest) => boolean): Labels {
  const fix: Record<string, string> = {};
  for (const [key, digest] of Object.entries(wanted)) {
    if (labels[key] === digest) continue;
    const others = Object.keys(labels).filter((other) => labels[other] === digest && !(other in wanted));
    if (labels[key] === undefined && others.length === 0 && mayLack(key, parseDigest(digest))) continue;
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
