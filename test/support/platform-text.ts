/** A platform with its OS version and features as text: `windows(10.0.17763+win32k)/amd64`. `parsePlatform` reads the text back. */
import type { Platform } from '../../src/core/oci/descriptor.ts';

export function platformText({
  os,
  architecture,
  variant,
  osVersion = '',
  osFeatures = [],
}: Platform): string {
  if (os === '') return 'unknown';
  const features = [...osFeatures].sort().map((feature) => `+${encodePart(feature)}`);
  const options = encodePart(osVersion) + features.join('');
  const parts = [options === '' ? os : `${os}(${options})`, architecture, variant ?? ''];
  return parts.filter((part) => part !== '').join('/');
}

/** encodeURIComponent leaves some marks that the grammar does not have. */
function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
