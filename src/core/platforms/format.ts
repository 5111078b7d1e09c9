import type { Platform } from '../oci/descriptor.ts';

/** `os/arch[/variant]`; `unknown` when there is no OS. */
export function formatPlatform({ os, architecture, variant = '' }: Platform): string {
  return os === '' ? 'unknown' : [os, architecture, variant].filter((part) => part !== '').join('/');
}
