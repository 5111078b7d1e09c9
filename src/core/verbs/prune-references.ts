/** The verb `prune references`: lets go of the layers of images, which stay unpacked (ctr content prune references). */
import type { Backend } from '../backend.ts';
import type { Labels } from '../content/content-store.ts';
import type { Survey } from '../gc/survey.ts';
import { layerLabels } from '../images/gc-labels.ts';
import type { Call } from '../ports/call.ts';

/** Removes the labels. Returns how many; the layers go with the next collection, unless something else keeps them. */
export async function pruneReferences({ content }: Pick<Backend, 'content'>, call: Call): Promise<number> {
  let count = 0;
  for (const { digest, labels } of await content.list(call)) {
    const keys = layerLabels(labels);
    if (keys.length === 0) continue;
    await content.label(digest, Object.fromEntries(keys.map((key) => [key, ''])), call);
    count += keys.length;
  }
  return count;
}

/** The survey as it will be then. */
export function withoutReferences(survey: Survey, namespace: string): Survey {
  const strip = (labels: Labels): Labels => {
    const keys = new Set(layerLabels(labels));
    return Object.fromEntries(Object.entries(labels).filter(([key]) => !keys.has(key)));
  };
  const namespaces = survey.namespaces.map((one) => {
    if (one.name !== namespace) return one;
    const content = one.state.content.map((blob) => ({ ...blob, labels: strip(blob.labels) }));
    return { ...one, state: { ...one.state, content } };
  });
  return { ...survey, namespaces };
}
