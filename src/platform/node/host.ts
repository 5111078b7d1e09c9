import process from 'node:process';
import type { Host } from '../../core/ports/host.ts';
import { createProcessHost } from '../common/process-host.ts';

export function createNodeHost(): Host {
  return createProcessHost('node', process.versions.node);
}
