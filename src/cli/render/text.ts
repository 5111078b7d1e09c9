/** What comes from registries and images never reaches a terminal raw, and secrets reach nothing. */

/** C0, DEL, C1, and the marks that turn the direction of writing. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Control characters as `\xNN` or `\uNNNN`: one line, nothing that a terminal obeys. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** The same for text of several lines that is ours: newlines and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(UNSAFE, (c) => (c === '\n' || c === '\t' ? c : safe(c)));
}

/** User info and queries of URLs (signed URLs), and what follows an authentication scheme or a `password=`. */
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
