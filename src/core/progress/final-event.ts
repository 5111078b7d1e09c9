import type { Kind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Voucher } from '../trust/voucher.ts';
import type { ProgressEvent } from './events.ts';

/** What a server said, or how the exchange with it ended. */
export interface RegistryFailure {
  /** Of the answer. */
  readonly status?: number | undefined;
  /** The registry's own (`MANIFEST_UNKNOWN`), or that of the lost exchange (`ECONNREFUSED`). */
  readonly code?: string | undefined;
}

/** An image, or a place of a list, that came to nothing. */
export interface ImageFailure {
  /** Empty for a place that names no image. */
  readonly name: string;
  /** What kind of failure this is. */
  readonly kind: Kind;
  /** What was being done to what, and what went wrong. */
  readonly message: string;
  /** What the user can do. */
  readonly hint?: string | undefined;
  /** Absent where no registry was the reason. */
  readonly registry?: RegistryFailure | undefined;
}

/** An image that is there. */
export interface ImageDone {
  /** The name of its record. */
  readonly name: string;
  /** What the record points at. */
  readonly digest: string;
  /** What became of it, where more than one thing may. */
  readonly state?: string | undefined;
  /** Who vouches for the image; absent when nobody was asked. */
  readonly verified?: readonly Voucher[] | undefined;
  /** Of `--json`, where the command has unpacked: each platform with its chain ID. */
  readonly unpacked?: readonly { readonly platform: string; readonly chainId: string }[] | undefined;
}

/** The last event of a transfer, written by the command line: `bytes` that came or went, in `seconds`. */
export type FinalEvent =
  /** One image is there. */
  | {
      readonly type: 'done';
      readonly name: string;
      readonly digest: string;
      readonly bytes: number;
      readonly seconds: number;
    }
  /** In place of `done`: of many images, and with `--json`, whose only line this is. */
  | {
      readonly type: 'ended';
      readonly done: readonly ImageDone[];
      readonly failed: readonly ImageFailure[];
      readonly bytes: number;
      readonly seconds: number;
    }
  /** The command failed. */
  | ErrorEvent;

/** The error of a command: the last event of `--progress=json`, and what `--json` writes to standard error. */
export interface ErrorEvent {
  /** Tells this event. */
  readonly type: 'error';
  /** What kind of failure this is. */
  readonly kind: Kind;
  /** What was being done to what, and what went wrong. */
  readonly message: string;
  /** What the user can do. */
  readonly hint?: string | undefined;
  /** What cleaning up met; absent when nothing. */
  readonly notes?: readonly string[] | undefined;
  /** Absent where no registry was the reason. */
  readonly registry?: RegistryFailure | undefined;
}

/**
 * A line of `--progress=json`, parsed: an event with descriptors as JSON has them. New members and new types may come without a new `v`.
 */
export type ProgressLine = ProgressEvent | FinalEvent extends infer T
  ? T extends unknown
    ? { readonly v: 1 } & {
        readonly [K in keyof T]: T[K] extends Descriptor | undefined
          ? Pick<Descriptor, 'mediaType' | 'digest' | 'size'>
          : T[K];
      }
    : never
  : never;
