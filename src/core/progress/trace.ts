/** A transfer as spans of time: what the tracer gathers, and what traces and reports are made of. Plain data. */
import type { Stage, StageTimes } from './events.ts';

/** Milliseconds since the trace began. */
export interface Span {
  readonly stage: Stage;
  readonly start: number;
  readonly end: number;
  /** Compressed bytes that went through. */
  readonly bytes: number;
  /** It had not ended when the transfer did. */
  readonly cut: boolean;
}

/** The image itself, one of its blobs, or the unpacking of one of its layers. */
export interface Row {
  readonly kind: 'image' | 'blob' | 'layer';
  /** The ref key of a blob; `layer 2/6` for a layer. */
  readonly label: string;
  /** '' for the image. */
  readonly digest: string;
  /** Compressed. */
  readonly size: number;
  /** Decompressed, 0 when not known. */
  readonly expanded: number;
  readonly entries: number;
  readonly times: StageTimes;
  readonly spans: readonly Span[];
  /** It was in the store before: no time went into it. */
  readonly existed: boolean;
  readonly retries: number;
}

export interface Trace {
  /** The image's name as asked for. */
  readonly name: string;
  /** The root's digest, '' when it was not resolved. */
  readonly target: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The whole time, in milliseconds. */
  readonly ms: number;
  /** Why it failed; undefined after a success. */
  readonly failure: string | undefined;
  /** The image first, then blobs and layers as they were first seen. */
  readonly rows: readonly Row[];
  /** Blobs and layers beyond the limit that have no row: at least so many. */
  readonly omitted: number;
}
