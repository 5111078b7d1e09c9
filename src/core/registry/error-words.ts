/** What the body of an error says, in one line that may be shown. */
import type { HttpResponse } from '../ports/transport.ts';
import { typeOf } from './answer.ts';
import { readSome } from './body.ts';
import { printable, safeText } from './redact.ts';

/** Bytes of an error's body that are read. */
const MAX_BODY = 64 * 1024;
const MAX_WORDS = 500;
/** Of text without a form of its own. */
const MAX_PLAIN = 200;

/** For answers in which nothing of a registry is recognised. */
export const NOT_A_REGISTRY = 'Is this really a registry? A proxy or a login page may have answered';

export interface Said {
  /** '' when nothing can be shown. */
  readonly text: string;
  /** The first error's code as it is (`MANIFEST_UNKNOWN`, `invalid_grant`). */
  readonly code: string | undefined;
  /** As it came: a page, say. Not to be shown. */
  readonly body: string;
}

const NOTHING: Said = { text: '', code: undefined, body: '' };

/**
 * The words of registries (distribution-spec's error document, or entries without codes), of token servers (RFC 6749 5.2, or one
 * member with the reason), of object storage (`<Error>` as S3 has it), or plain text. Pages are not shown.
 */
export async function readWords(response: HttpResponse): Promise<Said> {
  let body: string;
  try {
    body = new TextDecoder().decode((await readSome(response.body, MAX_BODY)).bytes);
  } catch {
    return NOTHING;
  }
  const errors = errorsOf(body);
  if (errors.length > 0) return { text: errors.map(sentence).join('; '), code: errors[0]?.code, body };
  const plain = typeOf(response) === 'text/plain';
  return { text: plain ? safeText(body, MAX_PLAIN) : '', code: undefined, body };
}

interface Wording {
  readonly code: string | undefined;
  readonly message: string;
  /** The entry has details, which are not shown: registries put anything there. */
  readonly detailed: boolean;
}

/** The messages that registries (distribution's errcode) give for a code alone. */
const STOCK: Readonly<Record<string, string>> = {
  UNKNOWN: 'unknown error',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNAVAILABLE: 'service unavailable',
  TOOMANYREQUESTS: 'too many requests',
};

function errorsOf(body: string): readonly Wording[] {
  const xml = errorOfStorage(body);
  if (xml !== undefined) return [xml];
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  const members = (document ?? {}) as Readonly<Record<string, unknown>>;
  const { errors } = members;
  return Array.isArray(errors) ? errors.slice(0, 10).flatMap(entryOf) : flatError(members);
}

function entryOf(entry: unknown): Wording[] {
  if (typeof entry === 'string') return wording(undefined, entry);
  const { code, message, detail } = (entry ?? {}) as Readonly<Record<string, unknown>>;
  return wording(textOf(code), textOf(message) ?? '', (detail ?? null) !== null);
}

/** Members that hold the reason in a document without `errors`, the best first. */
const REASONS: readonly string[] = ['error_description', 'message', 'details', 'detail'];

function flatError(members: Readonly<Record<string, unknown>>): Wording[] {
  const error = textOf(members.error);
  const isCode = error !== undefined && /^[\w.-]+$/.test(error);
  const reason = REASONS.map((name) => textOf(members[name])).find((text) => text !== undefined);
  return wording(isCode ? error : undefined, reason ?? (isCode ? '' : (error ?? '')));
}

/** `<Error><Code>AccessDenied</Code><Message>Request has expired</Message>`. */
function errorOfStorage(body: string): Wording | undefined {
  if (!/^\s*(?:<\?xml[^>]{0,200}\?>\s*)?<Error[\s>]/.test(body)) return undefined;
  const element = (name: string) => new RegExp(`<${name}>([^<]{1,${MAX_WORDS}})</${name}>`).exec(body)?.[1];
  return wording(element('Code'), element('Message') ?? '')[0];
}

function wording(code: string | undefined, message: string, detailed = false): Wording[] {
  const known = code === undefined ? undefined : printable(code, 64);
  const words = safeText(message, MAX_WORDS);
  return known === undefined && words === '' ? [] : [{ code: known, message: words, detailed }];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

/**
 * As containerd prints it: `denied` alone for a stock message without detail, else `manifest unknown: <message>`. Unlike there, codes
 * it does not know are kept (it says `unknown` for all of them), and a message that repeats the code is left out.
 */
function sentence({ code, message, detailed }: Wording): string {
  if (code === undefined) return message;
  const words = (/^[A-Z0-9_]+$/.test(code) ? code.toLowerCase() : code).replaceAll('_', ' ');
  const stock = !detailed && Object.hasOwn(STOCK, code) && message === STOCK[code];
  return message === '' || stock || message.toLowerCase() === words ? words : `${words}: ${message}`;
}
