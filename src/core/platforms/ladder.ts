import type { Platform } from '../oci/descriptor.ts';

const MAX_VERSION = 16;
/** The newest minor versions that are known: v8.9 and v9.7. */
const MAX_ARM64_MINOR: Readonly<Record<string, number>> = { '8': 9, '9': 7 };

/**
 * What a machine of `platform` (normalised) can run, best first: amd64/vN its lower versions, then 386; arm its lower
 * versions to v5; arm64 its lower versions, then arm/v8 to v5. An arm64 variant that is not known runs nothing.
 */
export function ladder(platform: Platform): readonly Platform[] {
  const variant = platform.variant ?? '';
  switch (platform.architecture) {
    case 'amd64':
      return [platform, ...steps(platform, variant, 1), change(platform, '386', '')];
    case 'arm':
      return [platform, ...steps(platform, variant, 5)];
    case 'arm64':
      return arm64(platform, variant || 'v8');
    default:
      return [platform];
  }
}

/** The versions below `variant`, down to `lowest`. */
function steps(platform: Platform, variant: string, lowest: number): Platform[] {
  const version = /^v?([0-9]{1,2})$/.exec(variant)?.[1];
  const out: Platform[] = [];
  for (let n = Math.min(Number(version ?? 0), MAX_VERSION) - 1; n >= lowest; n--) {
    out.push(change(platform, platform.architecture, `v${n}`));
  }
  return out;
}

function arm64(platform: Platform, variant: string): Platform[] {
  const found = /^v([89])(?:\.([0-9]))?$/.exec(variant);
  const major = found?.[1] ?? '';
  const minor = Number(found?.[2] ?? 0);
  if (found === null || minor > (MAX_ARM64_MINOR[major] ?? 0)) return [];
  const variants: string[] = [];
  if (major === '9') for (let n = minor; n >= 0; n--) variants.push(n === 0 ? 'v9' : `v9.${n}`);
  // Armv9.x has everything that Armv8.(x+5) has.
  for (let n = major === '9' ? Math.min(minor + 5, 9) : minor; n >= 0; n--)
    variants.push(n === 0 ? '' : `v8.${n}`);
  const arm = change(platform, 'arm', 'v8');
  return [...variants.map((v) => change(platform, 'arm64', v)), arm, ...steps(arm, 'v8', 5)];
}

function change(platform: Platform, architecture: string, variant: string): Platform {
  // amd64/v1 is written without a variant.
  const plain = variant === '' || (architecture === 'amd64' && variant === 'v1');
  return { ...platform, architecture, variant: plain ? undefined : variant };
}
