import type { Platform } from '../oci/descriptor.ts';
import type { Host } from '../ports/host.ts';

const DEFAULT_VARIANT: Readonly<Record<string, string>> = { arm: 'v7', arm64: 'v8' };

/** The platform of this machine's images: linux on a Mac, as its containers run in Linux; amd64 without a variant, as in ctr. */
export function hostPlatform(host: Pick<Host, 'os' | 'arch' | 'variant'>): Platform {
  const os = host.os === 'darwin' ? 'linux' : host.os;
  const fallback = DEFAULT_VARIANT[host.arch];
  if (fallback === undefined) return { os, architecture: host.arch };
  return { os, architecture: host.arch, variant: host.variant || fallback };
}
