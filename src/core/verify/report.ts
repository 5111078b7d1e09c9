import type { Labels } from '../content/content-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { TreeProblem } from '../trees/compare.ts';

/** Bytes that are gone, or are not those of the digest. */
export interface DamagedBlob {
  readonly type: 'blob';
  readonly digest: Digest;
  /** Bytes that there should be. */
  readonly size: number;
  /** As an image describes the blob; undefined when none does. */
  readonly desc?: Descriptor | undefined;
  readonly problem: string;
  /** Names of the images that have the blob, as far as their documents can be read. */
  readonly images: readonly string[];
}

/** The digest holds, but what the document says does not fit, in itself or with what it names. */
export interface BadDocument {
  readonly type: 'document';
  readonly digest: Digest;
  readonly problem: string;
  readonly images: readonly string[];
}

/** The labels of a blob, by which content is kept, do not say what the documents say. */
export interface DamagedLabels {
  readonly type: 'labels';
  readonly digest: Digest;
  /** What they should say; '' for one that should not be there. */
  readonly want: Labels;
  readonly images: readonly string[];
}

/** The files of an unpacked layer are not those of its blob. */
export interface DamagedSnapshot {
  readonly type: 'snapshot';
  readonly snapshotter: string;
  readonly chainId: string;
  readonly layer: Digest;
  readonly images: readonly string[];
  readonly problems: readonly TreeProblem[];
  /** How many problems are not listed. */
  readonly more: number;
}

/** The records themselves: nothing else can be checked before they are right. */
export interface DamagedRecords {
  readonly type: 'records';
  readonly problem: string;
  readonly images: readonly string[];
}

export type Damage = DamagedBlob | BadDocument | DamagedLabels | DamagedSnapshot | DamagedRecords;

/** A committed snapshot that nothing here can be compared with. */
export interface Unchecked {
  readonly snapshotter: string;
  readonly name: string;
  readonly why: string;
}

export interface VerifyReport {
  /** How many were checked. */
  readonly images: number;
  readonly blobs: number;
  readonly snapshots: number;
  /** Of the blobs. */
  readonly bytes: number;
  /** Blobs and snapshots among them that an interrupted check had found sound. */
  readonly resumed: number;
  readonly damage: readonly Damage[];
  readonly unchecked: readonly Unchecked[];
}

/** What was found sound, by name, so that a check that was interrupted can go on. */
export interface SoundThings {
  has(thing: string): boolean;
  add(thing: string): Promise<void>;
}

/** How far a check is. */
export interface VerifyProgress {
  readonly stage: 'content' | 'snapshots';
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes to be read; 0 when not known. */
  readonly total: number;
}
