/** Text for terminals: foreign text loses its control characters, and all text its secrets. */

/** C0, DEL, C1, and the marks that change the direction of writing. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Control characters become `\xNN` or `\uNNNN`: the result is one line without commands for a terminal. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** Like `safe`, for our own text of several lines: newlines and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(UNSAFE, (c) => (c === '\n' || c === '\t' ? c : safe(c)));
}

/** Masks user info and queries of URLs (signed URLs), and values after an authentication scheme or `password=`. */
export function redact(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"'<>]*@/gi, '$1***@')
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]*)\?[^\s"'<>]*?(?=[:,.;)]*(?:[\s"'<>]|$))/gi, '$1?***')
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, '$1 ***')
    .replace(/\b(password|passwd|secret|refresh_token|access_token|identitytoken)=[^\s"'&,;]+/gi, '$1=***')
    .replace(
      /"(password|passwd|secret|refresh_token|access_token|identitytoken|token)"\s*:\s*"[^"]*"/gi,
      '"$1":"***"',
    );
}
