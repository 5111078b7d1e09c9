import type { Platform } from '../oci/descriptor.ts';
import type { Host } from '../ports/host.ts';

const DEFAULT_VARIANT: Readonly<Record<string, string>> = { arm: 'v7', arm64: 'v8' };

/** What images for this machine are made for. A Mac runs its containers in Linux. amd64 has no variant (as ctr has it). */
export function hostPlatform(host: Pick<Host, 'os' | 'arch' | 'variant'>): Platform {
  const os = host.os === 'darwin' ? 'linux' : host.os;
  const fallback = DEFAULT_VARIANT[host.arch];
  if (fallback === undefined) return { os, architecture: host.arch };
  return { os, architecture: host.arch, variant: host.variant || fallback };
}
