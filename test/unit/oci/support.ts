import assert from 'node:assert/strict';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { type Digest, parseDigest } from '../../../src/core/oci/digest.ts';
import { OCI_LAYER_GZIP } from '../../../src/core/oci/media-types.ts';

/** A digest of 64 times the same hex digit. */
export const fake = (digit: string): Digest => parseDigest(`sha256:${digit.repeat(64)}`);

export const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** What points at the document under test: sha256:ddd... */
export const pointer = (mediaType: string): Descriptor => ({ mediaType, digest: fake('d'), size: 1 });

export const layer = (digit: string, more: object = {}): Record<string, unknown> => ({
  mediaType: OCI_LAYER_GZIP,
  digest: fake(digit),
  size: 10,
  ...more,
});

export function refuses(work: () => unknown, message: RegExp): void {
  assert.throws(work, (err: { kind?: string; message: string }) => {
    assert.equal(err.kind, 'InvalidArgument', String(err));
    assert.match(err.message, message);
    assert.ok(err.message.length < 1000);
    return true;
  });
}
