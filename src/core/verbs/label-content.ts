/** The labels of content that a transfer has brought. */
import type { Info, Labels, Manager } from '../content/content-store.ts';
import { MAX_LABEL_BYTES } from '../content/labels.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';

/** Writes the labels that change something. One that would be too long is told of, and left as it is. */
export async function labelContent(
  content: Pick<Manager, 'label'>,
  info: Info,
  wanted: Labels,
  report: Report,
  call: Call,
): Promise<void> {
  const labels: Record<string, string> = { ...wanted };
  for (const [name, value] of Object.entries(wanted)) {
    if (name.length + value.length > MAX_LABEL_BYTES) {
      const message = `Label ${name} of ${info.digest} would be too long: left as it is`;
      report({ type: 'warning', message });
      delete labels[name];
    } else if (info.labels[name] === value) delete labels[name];
  }
  if (Object.keys(labels).length > 0) await content.label(info.digest, labels, call);
}
