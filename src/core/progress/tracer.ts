import type { Clock } from '../ports/clock.ts';
import type { BlobStatus, ProgressEvent, Report, Stage, StageTimes } from './events.ts';
import type { Row, Span, Trace } from './trace.ts';

/** Blobs and layers that get a row: a hostile image may name far more. */
const MAX_ROWS = 2000;
/** Images that get one, by which their failures are told: as many as a list may have. */
const MAX_IMAGES = 10_000;
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

const NO_BLOB = { digest: '', size: 0 } as const;

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
  readonly image: string;
  digest: string;
  readonly size: number;
  failure: string | undefined;
  expanded = 0;
  entries = 0;
  times: StageTimes = {};
  existed = false;
  retries = 0;
  readonly spans: Span[] = [];
  readonly #begun = new Map<Stage, Begun>();

  constructor(kind: Row['kind'], label: string, image = '', digest = '', size = 0) {
    this.kind = kind;
    this.label = label;
    this.image = image;
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

  /** Whether this transfer has done nothing for the row yet: what one image brings is there for the next one. */
  isIdle(): boolean {
    return this.spans.length === 0 && this.#begun.size === 0;
  }

  add(span: Span): void {
    if (this.spans.length < MAX_SPANS) this.spans.push(span);
  }

  /** Ends what is still going on. */
  cut(now: number): void {
    for (const stage of [...this.#begun.keys()]) this.end(stage, now, true);
  }

  finish(now: number): Row {
    this.cut(now);
    const { kind, label, image, digest, size, expanded, entries, times, spans } = this;
    const { existed, retries, failure } = this;
    return { kind, label, image, digest, size, expanded, entries, times, spans, existed, retries, failure };
  }
}

/** Turns the events of one transfer into spans. Memory is bounded (MAX_ROWS, MAX_IMAGES, MAX_SPANS) for any image. */
export class Tracer {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #origin: number;
  readonly #image: OpenRow = new OpenRow('image', 'image');
  /** Undefined: there is one image. */
  #images: number | undefined;
  readonly #rows = new Map<string, OpenRow>();
  /** Of #rows, those of images. */
  #imageRows = 0;
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
      case 'images':
        this.#images = event.count;
        break;
      case 'resolving':
      case 'resolved':
      case 'syncing':
      case 'recorded':
      case 'failed':
        this.#imageStep(event, now);
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
      case 'unpacking':
      case 'unpacked':
      case 'warning':
        break;
    }
  };

  #imageOf({ image }: ProgressEvent): OpenRow | undefined {
    if (image === undefined) return this.#image;
    return this.#row(`image ${image}`, 'image', image, { image, desc: NO_BLOB });
  }

  #imageStep(
    event: Extract<ProgressEvent, { type: 'resolving' | 'resolved' | 'syncing' | 'recorded' | 'failed' }>,
    now: number,
  ): void {
    if (event.type === 'resolving') this.#name = event.name;
    if (event.type === 'resolved') this.#target = event.root.digest;
    const row = this.#imageOf(event);
    if (row === undefined) return;
    switch (event.type) {
      case 'resolving':
        row.at('resolve', now);
        break;
      case 'resolved':
        row.digest = event.root.digest;
        row.end('resolve', now);
        break;
      case 'syncing':
        row.at('sync', now);
        break;
      case 'recorded':
        for (const stage of ['sync', 'record'] as const) row.end(stage, now);
        break;
      case 'failed':
        row.failure = event.message;
        // What was still going on for the image ends here: the other images go on.
        for (const one of this.#rows.values()) if (one.image === event.image) one.cut(now);
    }
  }

  #retry(event: Extract<ProgressEvent, { type: 'retry' }>): void {
    const row = this.#row(event.key, 'blob', event.key, event);
    if (row) row.retries++;
  }

  /** The trace up to now; `failure`: why the transfer failed. */
  finish(failure?: string): Trace {
    const ms = this.#clock.monotonic() - this.#origin;
    const many = this.#images !== undefined;
    const rows = [...this.#rows.values()];
    return {
      name: many ? `${this.#images} images` : this.#name,
      target: many ? '' : this.#target,
      startedAt: this.#startedAt,
      ms,
      verified: [...this.#verified],
      failure,
      rows: (many ? rows : [this.#image, ...rows]).map((row) => row.finish(ms)),
      omitted: this.#omitted.size,
    };
  }

  #row(
    id: string,
    kind: Row['kind'],
    label: string,
    { image, desc }: { image?: string; desc: { digest: string; size: number } },
  ): OpenRow | undefined {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const isImage = kind === 'image';
    if (isImage ? this.#imageRows >= MAX_IMAGES : this.#rows.size - this.#imageRows >= MAX_ROWS) {
      this.#omit(id);
      return undefined;
    }
    if (isImage) this.#imageRows++;
    const row = new OpenRow(kind, label, image, desc.digest, desc.size);
    this.#rows.set(id, row);
    return row;
  }

  #blob(event: Extract<ProgressEvent, { type: 'blob' }>, now: number): void {
    const { key, status, offset } = event;
    const row = this.#row(key, 'blob', key, event);
    if (row === undefined) return;
    if (status === 'exists') row.existed = row.isIdle();
    if (status !== 'waiting') row.turnTo(STAGE_OF[status], now, offset);
  }

  #layer(event: Extract<ProgressEvent, { type: 'layer' }>, now: number): void {
    const { index, count, chainId, status, offset } = event;
    const row = this.#row(chainId, 'layer', `layer ${index + 1}/${count}`, event);
    if (row === undefined) return;
    if (status === 'exists') row.existed = row.isIdle();
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

  #span(event: Extract<ProgressEvent, { type: 'span' }>, now: number): void {
    const { stage, desc, chainId, ms } = event;
    const row = desc === undefined ? this.#imageOf(event) : this.#find(desc.digest, chainId);
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
