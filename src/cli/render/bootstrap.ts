import type { Bootstrapped } from '../views/bootstrapped.ts';
import { goJson } from './go-json.ts';

/** `{"v":1,"type":"bootstrap","address":...,"namespace":...,"images":[...],"failed":[...]}`. */
export function renderBootstrap({ address, namespace, images, failed }: Bootstrapped): string {
  const ready = images.map(({ name, target, state, source, also = [] }) => ({
    ...{ name, digest: target.digest, state, source },
    also: [...also],
  }));
  const not = failed.map(({ name, kind, message, hint }) => ({ name, kind, message, hint: hint ?? null }));
  return `${goJson({ v: 1, type: 'bootstrap', address, namespace, images: ready, failed: not })}\n`;
}
