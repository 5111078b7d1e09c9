import packageJson from '../../package.json' with { type: 'json' };
import type { Runtime } from '../core/runtime.ts';

export const VERSION: string = packageJson.version;

export function versionLine(runtime: Pick<Runtime, 'host'>): string {
  const { runtime: name, runtimeVersion, os, arch } = runtime.host;
  return `hawser ${VERSION} (${name} ${runtimeVersion}, ${os}/${arch})`;
}
