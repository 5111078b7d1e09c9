/** Warnings of registries: `Warning: 299 - "text"` (distribution-spec, "Warnings"). */
import type { Layer } from './layers.ts';
import type { Observe } from './observe.ts';
import { printable } from './redact.ts';

/** Of all warnings that one client reports: distribution-spec's limit for one answer. */
const MAX_BYTES = 4096;
/** A member of the list: code, agent, text in quotes, and what is after it. */
const MEMBER = /\s*(\d{3}) (\S+) "((?:[^"\\]|\\.)*)"([^,]*)(?:,|$)/y;

/**
 * The texts of a Warning field (RFC 7234 5.5; several are a list). Only code 299 of agent `-`, with nothing after the quotes.
 * Escapes (`\"`, `%20`) are decoded; where one `%` is no escape, no `%` is. Left out: empty texts, texts that hide a quote or
 * control characters, and all text after the end of the list.
 */
export function parseWarnings(field: string): string[] {
  const texts: string[] = [];
  MEMBER.lastIndex = 0;
  for (let member = MEMBER.exec(field); member !== null; member = MEMBER.exec(field)) {
    const [, code, agent, quoted = '', rest = ''] = member;
    const text = code === '299' && agent === '-' && rest.trim() === '' ? unescapeText(quoted) : '';
    if (text !== '') texts.push(text);
    if (MEMBER.lastIndex === field.length) break;
  }
  return texts;
}

function unescapeText(quoted: string): string {
  const text = quoted.replace(/\\(.)/g, '$1');
  if (/[\u0000-\u001f\u007f]|%(?:22|[01][0-9a-f]|7f)/i.test(text)) return '';
  try {
    return printable(decodeURIComponent(text), MAX_BYTES);
  } catch {
    return printable(text, MAX_BYTES);
  }
}

/** Reports each warning once, `<host> says: <text>`, up to MAX_BYTES of text. */
export class RegistryWarnings {
  readonly #observe: Observe;
  readonly #told = new Set<string>();
  #left = MAX_BYTES;

  constructor(observe: Observe) {
    this.#observe = observe;
  }

  /** Reads the answers of `registry`, not those of the targets of its redirects. */
  layer(registry: URL): Layer {
    return (next) => async (request) => {
      const response = await next(request);
      const field = request.url.origin === registry.origin ? response.headers.get('warning') : null;
      if (field !== null) this.#tell(registry.host, field);
      return response;
    };
  }

  #tell(host: string, field: string): void {
    for (const text of parseWarnings(field)) {
      const message = `${host} says: ${text}`;
      const bytes = new TextEncoder().encode(text).length;
      if (this.#told.has(message) || bytes > this.#left) continue;
      this.#left -= bytes;
      this.#told.add(message);
      this.#observe({ type: 'warning', message });
    }
  }
}
