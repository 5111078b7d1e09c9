import process from 'node:process';
import type { Host } from '../../core/ports/host.ts';
import { createProcessHost } from '../process/process-host.ts';

export function createDenoHost(): Host {
  return createProcessHost('deno', process.versions.deno ?? '');
}
