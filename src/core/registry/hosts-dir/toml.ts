/** hosts.toml (containerd's docs/hosts.md) as data. No other file is read; a wrong value is an error, never guessed. */
import { parse, TomlError } from 'smol-toml';
import { parseDuration } from '../../duration.ts';
import { HawserError, messageOf } from '../../errors.ts';
import { ALL_CAPABILITIES, type Capability, type Host } from '../hosts.ts';
import { printable } from '../redact.ts';
import { lineOf } from './line-of.ts';

/** A certificate file and the file of its key: the same one when it holds both. */
export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

/** One host as written; paths are not resolved. */
export interface HostEntry {
  /** `<file>:<line>: <key>`, for errors about the files that a key names. */
  readonly where: (key: 'ca' | 'client') => string;
  /** The API's root. Undefined: the namespace's own registry. */
  readonly base: URL | undefined;
  /** Undefined: all. */
  readonly capabilities: readonly Capability[] | undefined;
  readonly ca: readonly string[];
  readonly client: readonly ClientPair[];
  readonly skipVerify: boolean | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly dialTimeout: number | undefined;
  /** hawser's own key; containerd passes it over. */
  readonly reach: Host['reach'];
}

export interface HostsToml {
  /** In the file's order; the server is the last. */
  readonly entries: readonly HostEntry[];
  /** Unknown keys, for people. */
  readonly warnings: readonly string[];
}

type Table = Readonly<Record<string, unknown>>;

const KNOWN: ReadonlySet<string> = new Set([
  ...['capabilities', 'ca', 'client', 'skip_verify', 'header', 'override_path', 'dial_timeout', 'reach'],
]);
/** Headers that hawser sets itself, or that would break the framing of a request. */
const OUR_HEADERS =
  /^(?:host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|range|if-range|accept-encoding|proxy-.*)$/;
const MAX_HOSTS = 64;
/** A name as the URL parser leaves it, or an IPv6 address: no patterns. */
const HOST_NAME = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/;

/** InvalidArgument with file, line and key for anything that containerd's documentation does not have. */
export function parseHostsToml(text: string, file: string): HostsToml {
  const reader = new Reader(text, file);
  const { server, host, ...rest } = reader.parse();
  const hosts = host === undefined ? {} : reader.table(host, ['host']);
  const names = Object.keys(hosts);
  if (names.length > MAX_HOSTS) throw reader.wrong(['host'], `more than ${MAX_HOSTS} hosts`);
  const entries = names.map((name) =>
    entryOf(reader, reader.table(hosts[name], ['host', name]), ['host', name], name),
  );
  const url = server === undefined ? undefined : reader.string(server, ['server']);
  return { entries: [...entries, entryOf(reader, rest, [], url)], warnings: reader.warnings };
}

function entryOf(reader: Reader, table: Table, path: readonly string[], url: string | undefined): HostEntry {
  const at = (key: string): string[] => [...path, key];
  for (const [key, value] of Object.entries(table)) {
    if (KNOWN.has(key)) continue;
    if (isTable(value)) {
      throw reader.wrong(at(key), 'unknown table; write URLs of hosts in quotes: [host."https://HOST:PORT"]');
    }
    reader.warn(at(key), 'unknown key, not used');
  }
  const { capabilities, ca, client, skip_verify, header, override_path, dial_timeout, reach } = table;
  const overridePath = reader.boolean(override_path, at('override_path')) ?? false;
  return {
    where: (key) => reader.at(at(key)),
    base:
      url === undefined ? undefined : baseOf(reader, url, path.length > 0 ? path : ['server'], overridePath),
    capabilities: capabilitiesOf(reader, capabilities, at('capabilities')),
    ca: ca === undefined ? [] : reader.strings(ca, at('ca')),
    client: client === undefined ? [] : pairsOf(reader, client, at('client')),
    skipVerify: reader.boolean(skip_verify, at('skip_verify')),
    headers: header === undefined ? {} : headersOf(reader, reader.table(header, at('header')), at('header')),
    dialTimeout: dialTimeoutOf(reader, dial_timeout, at('dial_timeout')),
    reach: reachOf(reader, reach, at('reach')),
  };
}

/** The default scheme is https (containerd takes a name that begins with `http` for a path). `/v2` is added unless overridden. */
function baseOf(reader: Reader, text: string, path: readonly string[], overridePath: boolean): URL {
  const full = text.includes('://') ? text : `https://${text}`;
  if (!/^https?:\/\//i.test(full)) throw reader.wrong(path, 'a host is http:// or https://');
  if (!URL.canParse(full)) throw reader.wrong(path, 'not a URL');
  const url = new URL(full);
  if (!HOST_NAME.test(url.hostname)) throw reader.wrong(path, 'the host is neither a name nor an address');
  if (url.username !== '' || url.password !== '') reader.warn(path, 'user and password are not used');
  if (url.search !== '') reader.warn(path, 'the query is not used');
  const clean = url.pathname.replace(/\/{2,}/g, '/').replace(/\/$/, '');
  const base = new URL(url.origin);
  base.pathname = overridePath || clean.endsWith('/v2') ? clean : `${clean}/v2`;
  return base;
}

/** An empty list means all, as in containerd. */
function capabilitiesOf(
  reader: Reader,
  value: unknown,
  path: readonly string[],
): readonly Capability[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw reader.wrong(path, 'must be an array of strings');
  const words = value.map((word) => reader.string(word, path).toLowerCase());
  const unknown = words.find((word) => !ALL_CAPABILITIES.some((known) => known === word));
  if (unknown !== undefined) {
    throw reader.wrong(
      path,
      `unknown capability ${JSON.stringify(unknown)}; there are ${ALL_CAPABILITIES.join(', ')}`,
    );
  }
  return words.length === 0 ? undefined : ALL_CAPABILITIES.filter((known) => words.includes(known));
}

/** A file, files, or pairs of files; a pair without a key means that the first file holds both. */
function pairsOf(reader: Reader, value: unknown, path: readonly string[]): ClientPair[] {
  if (!Array.isArray(value)) value = [value];
  return (value as unknown[]).map((one) => {
    if (!Array.isArray(one)) {
      const file = nonEmpty(reader, one, path);
      return { cert: file, key: file };
    }
    const [cert, key] = one.map((file) => reader.string(file, path));
    if (one.length !== 2 || cert === undefined || cert === '') {
      throw reader.wrong(path, 'a pair is [certificate file, key file]');
    }
    return { cert, key: key === undefined || key === '' ? cert : key };
  });
}

function headersOf(reader: Reader, table: Table, path: readonly string[]): Record<string, string> {
  const headers: [string, string][] = Object.entries(table).map(([name, value]) => {
    const at = [...path, name];
    const lower = name.toLowerCase();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower)) throw reader.wrong(at, 'not the name of a header');
    if (OUR_HEADERS.test(lower)) throw reader.wrong(at, 'this header is not to be set here');
    const text = reader.strings(value, at).join(', ');
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) {
      throw reader.wrong(at, 'a header cannot hold these characters');
    }
    return [lower, text.trim()];
  });
  return Object.fromEntries(headers);
}

function dialTimeoutOf(reader: Reader, value: unknown, path: readonly string[]): number | undefined {
  if (value === undefined) return undefined;
  const text = reader.string(value, path);
  const milliseconds = durationOf(reader, text, path);
  if (milliseconds < 0) throw reader.wrong(path, `negative duration ${text}`);
  return milliseconds === 0 ? undefined : Math.max(1, Math.round(milliseconds));
}

function durationOf(reader: Reader, text: string, path: readonly string[]): number {
  try {
    return parseDuration(text);
  } catch (err) {
    throw reader.wrong(path, messageOf(err));
  }
}

function reachOf(reader: Reader, value: unknown, path: readonly string[]): Host['reach'] {
  if (value === undefined) return undefined;
  const text = reader.string(value, path);
  if (text === 'private' || text === 'loopback') return text;
  throw reader.wrong(path, 'must be "private" or "loopback"');
}

function nonEmpty(reader: Reader, value: unknown, path: readonly string[]): string {
  const text = reader.string(value, path);
  if (text === '') throw reader.wrong(path, 'an empty path');
  return text;
}

/** A table is neither an array nor a date. */
function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' &&
    value !== null &&
    [null, Object.prototype].includes(Object.getPrototypeOf(value))
  );
}

/** Values by type, or an error that says where. */
class Reader {
  readonly warnings: string[] = [];
  readonly #text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  parse(): Table {
    try {
      return { ...parse(this.#text) };
    } catch (err) {
      if (!(err instanceof TomlError)) throw err;
      const what = printable(err.message.split('\n', 1)[0] ?? '', 200);
      throw new HawserError('InvalidArgument', `${this.#file}:${err.line}:${err.column}: ${what}`, {
        hint: 'Nothing is pulled with a broken hosts.toml: it may say not to use the registry itself',
      });
    }
  }

  table(value: unknown, path: readonly string[]): Table {
    if (isTable(value)) return value;
    throw this.wrong(path, 'must be a table');
  }

  string(value: unknown, path: readonly string[]): string {
    if (typeof value === 'string') return value;
    throw this.wrong(path, 'must be a string');
  }

  /** A string or an array of them. */
  strings(value: unknown, path: readonly string[]): string[] {
    if (typeof value === 'string') return [value];
    if (Array.isArray(value)) return value.map((one) => this.string(one, path));
    throw this.wrong(path, 'must be a string or an array of strings');
  }

  boolean(value: unknown, path: readonly string[]): boolean | undefined {
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.wrong(path, 'must be true or false');
  }

  wrong(path: readonly string[], why: string): HawserError {
    return new HawserError('InvalidArgument', `${this.at(path)}: ${printable(why, 300)}`, {
      hint: 'Nothing is pulled with a broken hosts.toml: it may say not to use the registry itself',
    });
  }

  warn(path: readonly string[], why: string): void {
    this.warnings.push(`${this.at(path)}: ${printable(why, 300)}`);
  }

  at(path: readonly string[]): string {
    return `${this.#file}:${lineOf(this.#text, path)}: ${printable(keyText(path), 200)}`;
  }
}

/** `host."https://m1".ca`. */
function keyText(path: readonly string[]): string {
  return path.map((key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key))).join('.');
}
