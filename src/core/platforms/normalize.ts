import type { Platform } from '../oci/descriptor.ts';

/**
 * The one form of a platform's many spellings (containerd/platforms): lower case, `x86_64` is amd64, `armhf` is
 * arm/v7, amd64/v1 and arm64/v8 have no variant, arm without one is v7, features sorted and unique. An image that does
 * not say its OS is a Linux image.
 */
export function normalizePlatform(platform: Platform): Platform {
  const { architecture, variant } = normalizeArch(platform.architecture, platform.variant ?? '');
  const features = [...new Set(platform.osFeatures ?? [])].sort();
  return build({
    os: normalizeOs(platform.os) || 'linux',
    architecture,
    variant,
    osVersion: platform.osVersion ?? '',
    osFeatures: features,
  });
}

/** Leaves out what is empty. */
export function build(parts: {
  os: string;
  architecture: string;
  variant: string;
  osVersion: string;
  osFeatures: readonly string[];
}): Platform {
  return {
    os: parts.os,
    architecture: parts.architecture,
    ...(parts.variant === '' ? {} : { variant: parts.variant }),
    ...(parts.osVersion === '' ? {} : { osVersion: parts.osVersion }),
    ...(parts.osFeatures.length === 0 ? {} : { osFeatures: parts.osFeatures }),
  };
}

export function normalizeOs(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

/** '' is no variant. */
export function normalizeArch(arch: string, variant: string): { architecture: string; variant: string } {
  const given = variant.toLowerCase();
  const architecture = arch.toLowerCase();
  switch (architecture) {
    case 'i386':
      return { architecture: '386', variant: '' };
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: given === 'v1' ? '' : given };
    case 'aarch64':
    case 'arm64':
      return { architecture: 'arm64', variant: arm64Variant(given) };
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' };
    case 'armel':
      return { architecture: 'arm', variant: 'v6' };
    case 'arm':
      return { architecture: 'arm', variant: armVariant(given) };
    default:
      return { architecture, variant: given };
  }
}

function arm64Variant(variant: string): string {
  if (variant === '8' || variant === 'v8' || variant === 'v8.0') return '';
  return variant === '9' || variant === '9.0' || variant === 'v9.0' ? 'v9' : variant;
}

function armVariant(variant: string): string {
  if (variant === '') return 'v7';
  return /^[5-8]$/.test(variant) ? `v${variant}` : variant;
}
