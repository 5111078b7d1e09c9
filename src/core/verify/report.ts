import type { Labels } from '../content/content-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { TreeProblem } from '../trees/compare.ts';

/** Bytes that are gone, or are not those of the digest. */
export interface DamagedBlob {
  /** Tells this kind of damage. */
  readonly type: 'blob';
  /** What the bytes should have. */
  readonly digest: Digest;
  /** Bytes that there should be. */
  readonly size: number;
  /** As an image describes the blob; undefined when none does. */
  readonly desc?: Descriptor | undefined;
  /** What was found. */
  readonly problem: string;
  /** Names of the images that have the blob, as far as their documents can be read. */
  readonly images: readonly string[];
}

/** The digest holds, but what the document says does not fit, in itself or with what it names. */
export interface BadDocument {
  /** Tells this kind of damage. */
  readonly type: 'document';
  /** Of the document. */
  readonly digest: Digest;
  /** What was found. */
  readonly problem: string;
  /** The names of the images that reach it. */
  readonly images: readonly string[];
}

/** The labels of a blob, by which content is kept, do not say what the documents say. */
export interface DamagedLabels {
  /** Tells this kind of damage. */
  readonly type: 'labels';
  /** Of the blob whose labels are damaged. */
  readonly digest: Digest;
  /** What they should say; '' for one that should not be there. */
  readonly want: Labels;
  /** The names of the images that reach it. */
  readonly images: readonly string[];
}

/** The files of an unpacked layer are not those of its blob. */
export interface DamagedSnapshot {
  /** Tells this kind of damage. */
  readonly type: 'snapshot';
  /** Whose snapshot. */
  readonly snapshotter: string;
  /** The name of the committed snapshot. */
  readonly chainId: string;
  /** The blob that it was unpacked from. */
  readonly layer: Digest;
  /** The names of the images that reach it. */
  readonly images: readonly string[];
  /** What differs, entry by entry. */
  readonly problems: readonly TreeProblem[];
  /** How many problems are not listed. */
  readonly more: number;
}

/** The records themselves: nothing else can be checked before they are right. */
export interface DamagedRecords {
  /** Tells this kind of damage. */
  readonly type: 'records';
  /** What was found. */
  readonly problem: string;
  /** The names of the images that are concerned, where these can be told. */
  readonly images: readonly string[];
}

/** What a check can find. */
export type Damage = DamagedBlob | BadDocument | DamagedLabels | DamagedSnapshot | DamagedRecords;

/** A committed snapshot that nothing here can be compared with. */
export interface Unchecked {
  /** Whose snapshot. */
  readonly snapshotter: string;
  /** Its name. */
  readonly name: string;
  /** The reason. */
  readonly why: string;
}

/** What a check has found. */
export interface VerifyReport {
  /** How many were checked. */
  readonly images: number;
  /** How many blobs were hashed. */
  readonly blobs: number;
  /** How many snapshots were compared with their layers. */
  readonly snapshots: number;
  /** Of the blobs. */
  readonly bytes: number;
  /** Blobs and snapshots among them that an interrupted check had found sound. */
  readonly resumed: number;
  /** In the order in which it was found. */
  readonly damage: readonly Damage[];
  /** What could not be compared. */
  readonly unchecked: readonly Unchecked[];
}

/** What was found sound, by name, so that a check that was interrupted can go on. */
export interface SoundThings {
  /** Whether the thing was found sound by an earlier check. */
  has(thing: string): boolean;
  /** Remembers the thing as sound. */
  add(thing: string): Promise<void>;
}

/** How far a check is. */
export interface VerifyProgress {
  /** What is being checked. */
  readonly stage: 'content' | 'snapshots';
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes to be read; 0 when not known. */
  readonly total: number;
}
