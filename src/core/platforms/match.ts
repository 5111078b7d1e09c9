import type { Platform } from '../oci/descriptor.ts';
import { ladder } from './ladder.ts';
import { normalizePlatform } from './normalize.ts';
import { windowsVersionFits } from './windows.ts';

/** Accepts and ranks platforms (containerd/platforms MatchComparer). */
export interface Matcher {
  match(platform: Platform): boolean;
  /** Below 0: `a` is preferred. 0: neither is. A platform that does not match comes last. */
  compare(a: Platform, b: Platform): number;
}

/** Every platform that a machine of `platform` runs, its own first: amd64/v3 also v2, v1 and 386; arm64 also arm/v8 to v5. */
export function only(platform: Platform): Matcher {
  const runs = ladder(normalizePlatform(platform));
  return fromRank((one) => {
    const rank = runs.findIndex((step) => fits(step, one));
    return rank < 0 ? NONE : rank;
  }, true);
}

/** Any of them, none preferred. */
export function any(...platforms: readonly Platform[]): Matcher {
  const wanted = platforms.map(normalizePlatform);
  return fromRank((platform) => (wanted.some((one) => fits(one, platform)) ? 0 : NONE), false);
}

const NONE: number = Number.MAX_SAFE_INTEGER;

/** With `byFeatures`, the platform with more OS features is better among those of one rank. */
function fromRank(rank: (normalised: Platform) => number, byFeatures: boolean): Matcher {
  return {
    match: (platform) => rank(normalizePlatform(platform)) !== NONE,
    compare: (a, b) => {
      const [first, second] = [normalizePlatform(a), normalizePlatform(b)];
      const [ranked, other] = [rank(first), rank(second)];
      if (ranked !== other || ranked === NONE || !byFeatures) return ranked - other;
      return (second.osFeatures?.length ?? 0) - (first.osFeatures?.length ?? 0);
    },
  };
}

function fits(wanted: Platform, platform: Platform): boolean {
  return sameMachine(wanted, platform) && fitsOs(wanted, platform);
}

function sameMachine(a: Platform, b: Platform): boolean {
  return a.architecture === b.architecture && (a.variant ?? '') === (b.variant ?? '');
}

/** Compares the OS and its features, and on Windows the version. */
function fitsOs(wanted: Platform, platform: Platform): boolean {
  if (wanted.os !== platform.os) return false;
  const windows = wanted.os === 'windows';
  if (windows && !windowsVersionFits(wanted.osVersion ?? '', platform.osVersion ?? '')) return false;
  const has = new Set(wanted.osFeatures ?? []);
  return (platform.osFeatures ?? []).every(
    (feature) => has.has(feature) || (windows && feature === 'win32k'),
  );
}
