import type { Platform } from '../oci/descriptor.ts';

const MAX_VERSION = 16;
/** The newest minor versions that are known: v8.9 and v9.7. */
const MAX_ARM64_MINOR: Readonly<Record<string, number>> = { '8': 9, '9': 7 };

/**
 * The platforms that a machine of `platform` (normalised) runs, best first: amd64/vN, its lower versions, then 386; arm and
 * its lower versions to v5; arm64, its lower versions, then arm/v8 to v5. An unknown arm64 variant runs nothing.
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
  const [, major = '', digit = '0'] = /^v([89])(?:\.([0-9]))?$/.exec(variant) ?? [];
  const minor = Number(digit);
  if (minor > (MAX_ARM64_MINOR[major] ?? -1)) return [];
  const armv9 = major === '9' ? minors('v9', minor) : [];
  // Armv9.x has everything that Armv8.(x+5) has.
  const armv8 = minors('v8', major === '9' ? Math.min(minor + 5, 9) : minor);
  const arm = change(platform, 'arm', 'v8');
  return [...[...armv9, ...armv8].map((v) => change(platform, 'arm64', v)), arm, ...steps(arm, 'v8', 5)];
}

/** `v9.2`, `v9.1`, `v9`. v8 itself is written without a variant. */
function minors(major: 'v8' | 'v9', highest: number): string[] {
  const whole = major === 'v8' ? '' : major;
  return Array.from({ length: highest + 1 }, (_, n) => (n === highest ? whole : `${major}.${highest - n}`));
}

function change(platform: Platform, architecture: string, variant: string): Platform {
  // amd64/v1 is written without a variant.
  const plain = variant === '' || (architecture === 'amd64' && variant === 'v1');
  return { ...platform, architecture, variant: plain ? undefined : variant };
}
