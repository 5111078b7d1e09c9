/** The types that a request accepts. */
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../oci/media-types.ts';
import type { RemoteObject } from './client.ts';
import { printable } from './redact.ts';

/** In containerd's order. */
const MANIFESTS: readonly string[] = [DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX];

/**
 * `mediaType` first ('' for unknown). Requests for manifests name all types of manifests: distribution answers 404 for a manifest whose
 * type is not named, `*`/`*` notwithstanding, and an index may have a wrong type for a child.
 */
export function acceptOf(kind: RemoteObject['kind'], mediaType: string): { accept: string } {
  const own = mediaType === '' ? [] : [printable(mediaType, 255)];
  const types = new Set([...own, ...(kind === 'manifests' ? MANIFESTS : []), '*/*']);
  return { accept: [...types].join(', ') };
}
