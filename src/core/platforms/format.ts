import type { Platform } from '../oci/descriptor.ts';
import { normalizePlatform } from './normalize.ts';

/** `os/arch[/variant]`, as ctr shows platforms; `unknown` when there is no OS. */
export function formatPlatform({ os, architecture, variant = '' }: Platform): string {
  return os === '' ? 'unknown' : [os, architecture, variant].filter((part) => part !== '').join('/');
}

/**
 * A platform with all that choosing goes by: `windows(10.0.17763+win32k)/amd64`. `parsePlatform` reads the text back; two texts are
 * equal for equal platforms only (containerd/platforms FormatAll).
 */
export function platformText(platform: Platform): string {
  const { os, osVersion = '', osFeatures = [] } = platform;
  const features = [...osFeatures].sort().map((feature) => `+${encodePart(feature)}`);
  const options = encodePart(osVersion) + features.join('');
  return formatPlatform(options === '' || os === '' ? platform : { ...platform, os: `${os}(${options})` });
}

/** Whether two spellings are of one platform: `linux/arm64/v8` and `linux/arm64`. */
export function isSamePlatform(a: Platform, b: Platform): boolean {
  return platformText(normalizePlatform(a)) === platformText(normalizePlatform(b));
}

/** encodeURIComponent leaves some marks that the grammar does not have. */
function encodePart(part: string): string {
  return encodeURIComponent(part.toWellFormed()).replace(
    /[!'()*~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
