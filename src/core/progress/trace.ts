/** A transfer as spans of time: the tracer gathers them, traces and reports show them. Plain data. */
import type { Voucher } from '../trust/voucher.ts';
import type { Stage, StageTimes } from './events.ts';

/** Milliseconds since the trace began. */
export interface Span {
  readonly stage: Stage;
  readonly start: number;
  readonly end: number;
  /** Compressed bytes that passed during the span. */
  readonly bytes: number;
  /** True when the transfer ended first. */
  readonly cut: boolean;
}

/** An image itself, one of its blobs, or the unpacking of one of its layers. */
export interface Row {
  readonly kind: 'image' | 'blob' | 'layer';
  /** The ref key of a blob; `layer 2/6` for a layer. */
  readonly label: string;
  /** Whose row it is, where there are many images: of what several have, the first one's. '' where there is one. */
  readonly image: string;
  /** Of an image the root's; '' when it was not resolved. */
  readonly digest: string;
  /** Compressed bytes. */
  readonly size: number;
  /** Decompressed bytes; 0 when unknown. */
  readonly expanded: number;
  readonly entries: number;
  readonly times: StageTimes;
  readonly spans: readonly Span[];
  /** The store had the content already. */
  readonly existed: boolean;
  readonly retries: number;
  /** Why an image of many is not there. */
  readonly failure: string | undefined;
}

export interface Trace {
  /** The image's name as the user wrote it; `3 images`. */
  readonly name: string;
  /** The root's digest, '' when it was not resolved, and of many images. */
  readonly target: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The whole time, in milliseconds. */
  readonly ms: number;
  /** Who vouches for the image, and who has asked for that. */
  readonly verified: readonly { readonly by: string; readonly vouchers: readonly Voucher[] }[];
  /** The reason of a failure; undefined after a success. */
  readonly failure: string | undefined;
  /** The image first, then blobs and layers as they were first seen; of many images all as they were first seen. */
  readonly rows: readonly Row[];
  /** A lower bound of the blobs and layers that got no row, because of the limit. */
  readonly omitted: number;
}
