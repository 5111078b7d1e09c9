import type { Output } from '../../core/ports/host.ts';
import type { TraceEvent } from '../../core/registry/trace.ts';
import { redact, safe } from './text.ts';
import { duration } from './units.ts';

/** `http: HEAD https://host/v2/... 200 in 12.3ms, 586 bytes`. */
export function traceLine(event: TraceEvent): string {
  const outcome =
    event.status === undefined ? `failed (${event.error ?? 'no answer'})` : String(event.status);
  const length = event.length === undefined ? '' : `, ${event.length} bytes`;
  return `http: ${event.method} ${event.url} ${outcome} in ${duration(Math.round(event.ms * 1000) / 1000)}${length}`;
}

/** Writes lines one after another; nobody waits for them, and a closed standard error is no failure. */
export function lineWriter(stderr: Output): (line: string) => void {
  let writes: Promise<void> = Promise.resolve();
  return (line) => {
    const text = `${safe(redact(line))}\n`;
    writes = writes.then(() => stderr.write(text)).catch(() => {});
  };
}
