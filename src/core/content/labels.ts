import { HawserError } from '../errors.ts';
import type { Labels } from './content-store.ts';

/** Most UTF-8 bytes of a label's key and value together (containerd's pkg/labels). */
export const MAX_LABEL_BYTES = 4096;

const SHOWN_KEY = 64;
const encoder = new TextEncoder();

/** The size of a label as its limit counts. */
export function labelBytes(key: string, value: string): number {
  return encoder.encode(key).length + encoder.encode(value).length;
}

/** InvalidArgument when a key is empty or a key and its value are together longer than 4096 bytes. */
export function checkLabels(labels: Labels): void {
  for (const [key, value] of Object.entries(labels)) {
    if (key === '')
      throw new HawserError('InvalidArgument', 'Cannot set a label: its key is empty', {
        hint: 'Write it as KEY=VALUE',
      });
    const length = labelBytes(key, value);
    if (length <= MAX_LABEL_BYTES) continue;
    throw new HawserError(
      'InvalidArgument',
      `label key and value length (${length} bytes) greater than maximum size (${MAX_LABEL_BYTES} bytes), key: ${key.slice(0, SHOWN_KEY)}`,
      { hint: 'Shorten the key or the value' },
    );
  }
}
