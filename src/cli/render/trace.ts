import type { Output } from '../../core/ports/host.ts';
import type { TraceEvent } from '../../core/registry/trace.ts';
import { redact, safe } from './text.ts';
import { duration } from './units.ts';

/** `http: HEAD https://host/v2/... 200 in 12.3ms, 586 bytes, ratelimit-remaining 76`. */
export function traceLine(event: TraceEvent): string {
  return `http: ${exchange(event)}`;
}

/** An HTTP exchange in one line: `HEAD https://host/v2/... 200 in 12.3ms, 586 bytes`. */
export function exchange(event: TraceEvent): string {
  const outcome =
    event.status === undefined ? `failed (${redact(event.error ?? 'no answer')})` : String(event.status);
  const length = event.length === undefined ? '' : `, ${event.length} bytes`;
  const limits = Object.entries(event.limits ?? {}).map((pair) => `, ${pair.join(' ')}`);
  return `${event.method} ${event.url} ${outcome} in ${milliseconds(event.ms)}${length}${limits.join('')}`;
}

export function milliseconds(ms: number): string {
  return duration(Math.round(ms * 1000) / 1000);
}

/** Writes lines in order, without anybody waiting for them. A closed standard error is no failure. */
export function lineWriter(stderr: Output): (line: string) => void {
  let writes: Promise<void> = Promise.resolve();
  return (line) => {
    const text = `${safe(redact(line))}\n`;
    writes = writes.then(() => stderr.write(text)).catch(() => {});
  };
}
