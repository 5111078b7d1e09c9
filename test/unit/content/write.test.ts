import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ingest } from '../../../src/core/content/content-store.ts';
import { writeBlob } from '../../../src/core/content/write.ts';
import { HawserError, type Kind, messageOf, notesOf } from '../../../src/core/errors.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';

const DESC = { mediaType: 'a/b', digest: makeDigest('sha256', 'a'.repeat(64)), size: 1 };
const ENDS = 'the ingest cannot be closed';

/** Stores a document; the step of this name fails, and closing the ingest after it. */
async function store(step: string, kind: Kind): Promise<void> {
  const at = async (name: string): Promise<void> => {
    if (name === step) throw new HawserError(kind, `${name} failed`);
  };
  const ingest = {
    reset: () => at('reset'),
    write: () => at('write'),
    commit: () => at('commit'),
    [Symbol.asyncDispose]: async () => Promise.reject(new Error(ENDS)),
  } as unknown as Ingest;
  const content = { ingest: () => at('ingest').then(() => ingest) };
  await writeBlob(content, DESC, new Uint8Array(1), {});
}

test('a document that cannot be stored: the step that failed is told, not the closing after it', async () => {
  for (const step of ['ingest', 'reset', 'write', 'commit']) {
    const err = await store(step, 'DataLoss').catch((err: unknown) => err);
    assert.equal(messageOf(err), `${step} failed`);
    assert.deepEqual(notesOf(err), step === 'ingest' ? [] : [ENDS]);
  }
});

test('a document that the store has, or has got, is stored', async () => {
  await store('ingest', 'AlreadyExists');
  await store('commit', 'AlreadyExists');
  await store('none', 'Internal');
});
