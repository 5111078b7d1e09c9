/** All fuzz targets. */
import process from 'node:process';
import { applyTarget } from './apply.ts';
import { codecTargets } from './codecs.ts';
import { documentTarget } from './documents.ts';
import { paxTarget } from './pax.ts';
import { tarTarget } from './tar.ts';
import type { AnyTarget } from './target.ts';
import { textTargets } from './text.ts';

/** `apply` is left out without root. Close them. */
export function openTargets(): readonly AnyTarget[] {
  const root = process.getuid?.() === 0;
  return [
    tarTarget,
    paxTarget,
    ...codecTargets,
    ...(root ? [applyTarget()] : []),
    ...textTargets,
    documentTarget,
  ];
}
