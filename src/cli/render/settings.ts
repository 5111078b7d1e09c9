import type { SettingsView } from '../views/settings.ts';
import { goJson } from './go-json.ts';
import { align } from './tabwriter.ts';
import { safe } from './text.ts';

/** The files, then a row for each setting. */
export function renderSettings({ files, rows, json }: SettingsView): string {
  if (json) {
    const settings = rows.map(({ key, variable, value, from }) => ({
      ...{ key, variable },
      value: value ?? null,
      from: from ?? 'default',
    }));
    return `${goJson({ v: 1, type: 'settings', files: files.map((one) => ({ ...one })), settings })}\n`;
  }
  const cells = rows.map(({ key, value, from }) => [key, value ?? '-', from ?? 'default']);
  const lines = [['SETTING', 'VALUE', 'FROM'], ...cells].map((row) => `${row.map(safe).join('\t')}\n`);
  const read = files.map(({ path, state }) => `${safe(path)}: ${safe(state)}\n`);
  return `${read.join('')}${align(lines.join(''))}`;
}
