import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, ProgressEvent, Report, Stage, StageTimes } from './events.ts';
import type { Row, Span, Trace } from './trace.ts';

/** Blobs and layers that get a row: a hostile image may name far more. */
const MAX_ROWS = 2000;
/** Spans of one row. */
const MAX_SPANS = 100;

const STAGE_OF: Readonly<Record<Exclude<BlobStatus, 'waiting'>, Stage | undefined>> = {
  following: 'wait',
  downloading: 'fetch',
  committing: 'commit',
  done: undefined,
  exists: undefined,
  uploading: 'fetch',
  mounted: undefined,
};

interface Begun {
  readonly start: number;
  /** The offset at the start: bytes of an earlier attempt. */
  readonly from: number;
  offset: number;
}

/** A row while the transfer runs. */
class OpenRow {
  readonly kind: Row['kind'];
  readonly label: string;
  readonly digest: string;
  readonly size: number;
  expanded = 0;
  entries = 0;
  times: StageTimes = {};
  existed = false;
  retries = 0;
  readonly spans: Span[] = [];
  readonly #begun = new Map<Stage, Begun>();

  constructor(kind: Row['kind'], label: string, digest = '', size = 0) {
    this.kind = kind;
    this.label = label;
    this.digest = digest;
    this.size = size;
  }

  /** Begins the stage if it has not begun, and notes its offset. */
  at(stage: Stage, now: number, offset = 0): void {
    const begun = this.#begun.get(stage);
    if (begun === undefined) this.#begun.set(stage, { start: now, from: offset, offset });
    else begun.offset = Math.max(begun.offset, offset);
  }

  end(stage: Stage, now: number, cut = false): void {
    const begun = this.#begun.get(stage);
    if (begun === undefined) return;
    this.#begun.delete(stage);
    this.add({ stage, start: begun.start, end: now, bytes: begun.offset - begun.from, cut });
  }

  /** Ends every stage but `stage`, and begins that one. Undefined: ends all. */
  turnTo(stage: Stage | undefined, now: number, offset: number): void {
    for (const [other, begun] of [...this.#begun]) {
      if (other === 'fetch') begun.offset = Math.max(begun.offset, offset);
      if (other !== stage) this.end(other, now);
    }
    if (stage !== undefined) this.at(stage, now, offset);
  }

  add(span: Span): void {
    if (this.spans.length < MAX_SPANS) this.spans.push(span);
  }

  finish(now: number): Row {
    for (const stage of [...this.#begun.keys()]) this.end(stage, now, true);
    const { kind, label, digest, size, expanded, entries, times, spans, existed, retries } = this;
    return { kind, label, digest, size, expanded, entries, times, spans, existed, retries };
  }
}

/** Turns the events of one transfer into spans. Memory is bounded (MAX_ROWS, MAX_SPANS) for any image. */
export class Tracer {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #origin: number;
  readonly #image: OpenRow = new OpenRow('image', 'image');
  readonly #rows = new Map<string, OpenRow>();
  #name = '';
  #target = '';
  readonly #verified: Trace['verified'][number][] = [];
  readonly #omitted = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#origin = clock.monotonic();
  }

  readonly report: Report = (event) => {
    const now = this.#clock.monotonic() - this.#origin;
    switch (event.type) {
      case 'resolving':
        this.#name = event.name;
        this.#image.at('resolve', now);
        break;
      case 'resolved':
        this.#target = event.root.digest;
        this.#image.end('resolve', now);
        break;
      case 'verified':
        this.#verified.push(event);
        break;
      case 'blob':
        this.#blob(event, now);
        break;
      case 'retry':
        this.#retry(event);
        break;
      case 'layer':
        this.#layer(event, now);
        break;
      case 'stages':
        this.#stages(event);
        break;
      case 'span':
        this.#span(event, now);
        break;
      case 'syncing':
        this.#image.at('sync', now);
        break;
      case 'recorded':
        for (const stage of ['sync', 'record'] as const) this.#image.end(stage, now);
        break;
      case 'unpacking':
      case 'unpacked':
      case 'warning':
      case 'images':
      case 'failed':
        break;
    }
  };

  #retry({ key, desc }: Extract<ProgressEvent, { type: 'retry' }>): void {
    const row = this.#row(key, 'blob', key, desc);
    if (row) row.retries++;
  }

  /** The trace up to now; `failure`: why the transfer failed. */
  finish(failure?: string): Trace {
    const ms = this.#clock.monotonic() - this.#origin;
    return {
      name: this.#name,
      target: this.#target,
      startedAt: this.#startedAt,
      ms,
      verified: [...this.#verified],
      failure,
      rows: [this.#image, ...this.#rows.values()].map((row) => row.finish(ms)),
      omitted: this.#omitted.size,
    };
  }

  #row(
    id: string,
    kind: 'blob' | 'layer',
    label: string,
    desc: { digest: string; size: number },
  ): OpenRow | undefined {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    if (this.#rows.size >= MAX_ROWS) {
      this.#omit(id);
      return undefined;
    }
    const row = new OpenRow(kind, label, desc.digest, desc.size);
    this.#rows.set(id, row);
    return row;
  }

  #blob({ key, desc, status, offset }: Extract<ProgressEvent, { type: 'blob' }>, now: number): void {
    const row = this.#row(key, 'blob', key, desc);
    if (row === undefined) return;
    if (status === 'exists') row.existed = row.spans.length === 0;
    if (status !== 'waiting') row.turnTo(STAGE_OF[status], now, offset);
  }

  #layer(event: Extract<ProgressEvent, { type: 'layer' }>, now: number): void {
    const { desc, index, count, chainId, status, offset } = event;
    const row = this.#row(chainId, 'layer', `layer ${index + 1}/${count}`, desc);
    if (row === undefined) return;
    if (status === 'exists') row.existed = true;
    else row.at('extract', now, offset);
    if (status === 'extracted') row.end('extract', now);
  }

  #stages({ desc, chainId, size, entries, times }: Extract<ProgressEvent, { type: 'stages' }>): void {
    const row = this.#find(desc.digest, chainId);
    if (row === undefined) return;
    row.times = times;
    row.expanded = size ?? 0;
    row.entries = entries ?? 0;
  }

  #span({ stage, desc, chainId, ms }: Extract<ProgressEvent, { type: 'span' }>, now: number): void {
    const row = desc === undefined ? this.#image : this.#find(desc.digest, chainId);
    row?.add({ stage, start: Math.max(0, now - ms), end: now, bytes: desc?.size ?? 0, cut: false });
  }

  #find(digest: string, chainId: string | undefined): OpenRow | undefined {
    if (chainId !== undefined) return this.#rows.get(chainId);
    return [...this.#rows.values()].find((row) => row.kind === 'blob' && row.digest === digest);
  }

  #omit(id: string): void {
    if (this.#omitted.size < MAX_ROWS) this.#omitted.add(id);
  }
}
