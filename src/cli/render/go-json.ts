/** JSON with the indentation and the escapes of Go's encoding/json; control characters for terminals are escaped too. */

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

const ESCAPED = /[<>&\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `indent`: blanks a level (`ctr snapshots info` has four); 0: one line. */
export function goJson(value: Json, indent = 0): string {
  const text = JSON.stringify(value, undefined, indent);
  return text.replace(ESCAPED, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** RFC 3339 in UTC with the shortest fraction, as Go prints times. */
export function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}

/** Go prints maps sorted by key. */
export function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  const keys = Object.keys(labels).sort();
  return Object.fromEntries(keys.map((key) => [key, labels[key] ?? '']));
}
