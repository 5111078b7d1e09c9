import type { Platform } from '../oci/descriptor.ts';

/** `os/arch[/variant]`; `unknown` when there is no OS. */
export function formatPlatform(platform: Platform): string {
  return platform.os === '' ? 'unknown' : join(platform.os, platform);
}

/** With the OS version and features: `windows(10.0.17763+win32k)/amd64`. `parsePlatform` reads it back. */
export function formatAll(platform: Platform): string {
  if (platform.os === '') return 'unknown';
  const features = [...(platform.osFeatures ?? [])].sort().map((feature) => `+${encodePart(feature)}`);
  const options = encodePart(platform.osVersion ?? '') + features.join('');
  return join(options === '' ? platform.os : `${platform.os}(${options})`, platform);
}

function join(os: string, { architecture, variant = '' }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/');
}

/** encodeURIComponent leaves some marks that the grammar does not have. */
function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
