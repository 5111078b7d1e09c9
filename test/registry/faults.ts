/** What can go wrong with an answer. The first fault that matches a request is applied. */
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { concat, type ServerRequest, type Wire } from './http-server.ts';

export interface Fault {
  /** Of path and query. */
  readonly match?: RegExp | string;
  readonly method?: string;
  /** Matching requests left alone first. */
  readonly skip?: number;
  /** How often it strikes. Default: always. */
  readonly times?: number;
  /** More to match by. */
  readonly when?: (request: ServerRequest) => boolean;

  /** Instead of the answer. */
  readonly status?: number;
  /** The request is done, and answered with this status, without headers and body. */
  readonly tells?: number;
  readonly reason?: string;
  readonly body?: string | Uint8Array;
  /** The whole answer, byte for byte; the connection is closed after it. */
  readonly raw?: string;
  /** No answer: the connection is reset. With `cutAfter`: reset there. */
  readonly reset?: boolean;
  /** The request is done, but the connection is reset in place of the answer. */
  readonly lostAnswer?: boolean;
  /** No answer at all, for ever. */
  readonly hang?: boolean;
  /** Where to; `{target}` in it is the path and query asked for. */
  readonly redirect?: string;
  /** Which of 301, 302, 303, 307, 308. Default 307. */
  readonly redirectStatus?: number;

  /** Added, or put in the place of the answer's; '' takes one away. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds, or a date. */
  readonly retryAfter?: number | string;
  /** Padding of so many bytes, in headers of 1000. */
  readonly headerBytes?: number;
  /** So many answers `103 Early Hints` first. */
  readonly interim?: number;
  readonly contentType?: string;
  readonly noDigestHeader?: boolean;
  /** The end of the body is the end of the connection. */
  readonly noContentLength?: boolean;
  readonly chunked?: boolean;

  /** The connection is reset after so many bytes of the request's body. A body that has no more is left alone. */
  readonly cutRequest?: number;
  /** No byte of the request's body is read, for ever. */
  readonly stallRequest?: boolean;
  /** The answer comes after so many bytes of the request's body, and no more of it is read. */
  readonly answerAt?: number;
  /** Milliseconds before the headers. */
  readonly delay?: number;
  /** The body ends (connection closed) after so many bytes. A body that has no more is left alone. */
  readonly cutAfter?: number;
  /** So many bytes of the body, then nothing, the connection stays. A body that has no more is left alone. */
  readonly stall?: number;
  /** So many bytes at a time, with so many milliseconds between. */
  readonly dribble?: { readonly bytes: number; readonly interval: number };
  /** Bytes a second, of each body on its own. */
  readonly rate?: number;
  /** Flips all bits of the byte at this place of the body. */
  readonly corrupt?: number;
  /** So many bytes too many, and said so. */
  readonly overlong?: number;
  /** So many bytes of the body only, as if it had no more. */
  readonly short?: number;
  /** A list; gzip, deflate and zstd are true of the bytes, any other name is only said. A range is of the encoded bytes. */
  readonly contentEncoding?: string;
  /** deflate as many servers have it: without zlib's wrapper. */
  readonly bareDeflate?: boolean;
  /** All other bytes, of the same length, under another ETag: the blob has changed at the server. */
  readonly changed?: boolean;
  /** 200 and everything, whatever range was asked for. */
  readonly ignoreRange?: boolean;
  /** The Content-Range of a 206; the bytes stay right. '' for none. */
  readonly wrongRange?: string;
  /** The bytes of a 206 come from so much earlier than Content-Range says, as far as there is something. */
  readonly shiftRange?: number;
  /** A 206 has no more bytes than this, and says so. */
  readonly rangeLimit?: number;
  readonly multipart?: boolean;
}

/** Reads a byte range of a body, `end` excluded. */
export interface Content {
  readonly size: number;
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

export interface Answer {
  status: number;
  reason?: string;
  headers: [string, string][];
  content: Content;
}

export function contentOf(data: Uint8Array | string): Content {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  return {
    size: bytes.length,
    async *read(start, end) {
      for (let at = start; at < end; at += 65_536) yield bytes.subarray(at, Math.min(end, at + 65_536));
    },
  };
}

/** Faults in order, with how often each has been met. */
export class FaultPlan {
  readonly #met = new Map<Fault, number>();
  readonly list: Fault[];

  constructor(faults: readonly Fault[]) {
    this.list = [...faults];
  }

  /** `cuts`: those that strike while the request comes, else the others. */
  pick(request: ServerRequest, cuts = false): Fault | undefined {
    for (const fault of this.list) {
      const [at] = [fault.cutRequest, fault.answerAt, fault.stallRequest === true ? 0 : undefined].filter(
        (one) => one !== undefined,
      );
      if ((at !== undefined) !== cuts) continue;
      if (Number(request.headers.get('content-length') ?? 0) <= (at ?? -1)) continue;
      if (fault.method !== undefined && fault.method !== request.method) continue;
      if (typeof fault.match === 'string' && !request.target.includes(fault.match)) continue;
      if (fault.match instanceof RegExp && !fault.match.test(request.target)) continue;
      if (fault.when !== undefined && !fault.when(request)) continue;
      const met = (this.#met.get(fault) ?? 0) + 1;
      this.#met.set(fault, met);
      const skip = fault.skip ?? 0;
      if (met > skip && met <= skip + (fault.times ?? Number.POSITIVE_INFINITY)) return fault;
    }
    return undefined;
  }

  /** How often it has struck, and been skipped. */
  met(fault: Fault): number {
    return this.#met.get(fault) ?? 0;
  }

  /** It was picked, but had nothing to strike at. */
  spare(fault: Fault): void {
    this.#met.set(fault, (this.#met.get(fault) ?? 1) - 1);
  }
}

/** The answer as the fault would have it. */
export async function spoil(answer: Answer, fault: Fault, target: string): Promise<void> {
  if (fault.status !== undefined) {
    answer.status = fault.status;
    answer.headers = [];
    answer.content = contentOf(fault.body ?? '');
  } else if (fault.body !== undefined) answer.content = contentOf(fault.body);
  if (fault.tells !== undefined)
    Object.assign(answer, { status: fault.tells, headers: [], content: contentOf('') });
  if (fault.reason !== undefined) answer.reason = fault.reason;
  if (fault.redirect !== undefined) {
    answer.status = fault.redirectStatus ?? 307;
    answer.headers = [['Location', fault.redirect.replace('{target}', target)]];
    answer.content = contentOf('');
  }
  await spoilContent(answer, fault);
  if (fault.contentType !== undefined) setHeader(answer, 'Content-Type', fault.contentType);
  if (fault.noDigestHeader === true) setHeader(answer, 'Docker-Content-Digest', '');
  if (fault.retryAfter !== undefined) setHeader(answer, 'Retry-After', String(fault.retryAfter));
  for (let left = fault.headerBytes ?? 0, i = 0; left > 0; left -= 1000, i++) {
    answer.headers.push([`X-Padding-${i}`, 'x'.repeat(Math.min(left, 1000))]);
  }
}

async function spoilContent(answer: Answer, fault: Fault): Promise<void> {
  const { content } = answer;
  if (fault.short !== undefined) answer.content = { ...content, size: Math.min(content.size, fault.short) };
  if (fault.overlong !== undefined)
    answer.content = contentOf(concat([await all(content), new Uint8Array(fault.overlong)]));
  if (fault.corrupt !== undefined) answer.content = contentOf(flip(await all(content), fault.corrupt));
  if (fault.changed === true) {
    answer.content = contentOf((await all(content)).map((byte) => byte ^ 0xff));
    setHeader(answer, 'ETag', '"changed"');
  }
  if (fault.contentEncoding !== undefined) {
    for (const name of fault.contentEncoding.split(', ')) {
      const encode = name === 'deflate' && fault.bareDeflate === true ? deflateRawSync : ENCODERS[name];
      if (encode !== undefined) answer.content = contentOf(encode(await all(answer.content)));
    }
    setHeader(answer, 'Content-Encoding', fault.contentEncoding);
  }
}

const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
};

export function headerOf(answer: Answer, name: string): string | undefined {
  return answer.headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1];
}

/** An empty value takes the header away. */
export function setHeader(answer: Answer, name: string, value: string): void {
  answer.headers = answer.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  if (value !== '') answer.headers.push([name, value]);
}

/** Sends the body as the fault would have it and tells `count` of each piece. False: the connection is spent. */
export async function sendBody(
  wire: Wire,
  bytes: AsyncIterable<Uint8Array>,
  fault: Fault,
  count: (sent: number) => void,
): Promise<boolean> {
  const limit = Math.min(fault.cutAfter ?? Number.POSITIVE_INFINITY, fault.stall ?? Number.POSITIVE_INFINITY);
  const step = fault.dribble?.bytes ?? (fault.rate === undefined ? undefined : Math.ceil(fault.rate / 50));
  let left = limit;
  for await (const chunk of pieces(bytes, step)) {
    const part = chunk.subarray(0, Math.min(chunk.length, left));
    if (part.length > 0) {
      if (!(await wire.write(fault.chunked === true ? framed(part) : part))) return false;
      count(part.length);
      left -= part.length;
    }
    if (left === 0) return await breakOff(wire, fault, limit);
    if (fault.dribble !== undefined) await pause(fault.dribble.interval);
    if (fault.rate !== undefined) await pause((1000 * part.length) / fault.rate);
  }
  if (fault.chunked === true) await wire.write('0\r\n\r\n');
  return true;
}

async function breakOff(wire: Wire, fault: Fault, at: number): Promise<false> {
  if (fault.stall === at) await wire.closed;
  else if (fault.reset === true) wire.reset();
  else wire.end();
  return false;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function* pieces(
  bytes: AsyncIterable<Uint8Array>,
  size: number | undefined,
): AsyncIterable<Uint8Array> {
  for await (const chunk of bytes) {
    const step = size ?? chunk.length;
    for (let at = 0; at < chunk.length; at += step) yield chunk.subarray(at, at + step);
  }
}

function framed(part: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  return concat([encoder.encode(`${part.length.toString(16)}\r\n`), part, encoder.encode('\r\n')]);
}

async function all(content: Content): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of content.read(0, content.size)) parts.push(part);
  return concat(parts);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ 0xff;
  return out;
}
