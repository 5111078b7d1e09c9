import type { Platform } from '../oci/descriptor.ts';
import type { HostSystem } from '../ports/host.ts';

const DEFAULT_VARIANT: Readonly<Record<string, string>> = { arm: 'v7', arm64: 'v8' };

/**
 * The best platform that this machine runs: linux on a Mac, as its containers run in Linux; amd64 with the level of the
 * processor. A base image is then taken where there is none for a level.
 */
export function hostPlatform(host: Pick<HostSystem, 'os' | 'arch' | 'variant'>): Platform {
  const os = host.os === 'darwin' ? 'linux' : host.os;
  const variant = host.variant || DEFAULT_VARIANT[host.arch];
  return variant === undefined ? { os, architecture: host.arch } : { os, architecture: host.arch, variant };
}

/** The platform whose images containerd runs by default on a machine: it looks at no levels of amd64 (containerd/platforms cpuinfo.go). */
export function containerdPlatform({ variant, ...machine }: Platform): Platform {
  return variant === undefined || machine.architecture === 'amd64' ? machine : { ...machine, variant };
}

/** The platform to take in a store where the user names none. */
export function defaultPlatform(
  store: { platform?(machine: Platform): Platform },
  host: Parameters<typeof hostPlatform>[0],
): Platform {
  const machine = hostPlatform(host);
  return store.platform?.(machine) ?? machine;
}
