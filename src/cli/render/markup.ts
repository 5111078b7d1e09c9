/** HTML templates: values are escaped unless they are Markup, so that no value can add elements or attributes. */
import { redact, safe } from './text.ts';

export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Part = string | number | Markup | readonly Part[];

/** html`<td title="${anything}">${anything}</td>`: write attribute values in double quotes. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(
    literals.reduce((text, literal, at) => text + literal + (at < parts.length ? render(parts[at]) : ''), ''),
  );
}

/** Foreign text without secrets and control characters; `html` escapes it. */
export function text(value: string): string {
  return safe(redact(value));
}

function render(part: Part | undefined): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return escapeHtml(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? '');
}
