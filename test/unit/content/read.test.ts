/** Bytes that are not as many as their descriptor says: damage is told as such, and where there is none, the descriptor is to blame. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamOf } from '../../../src/core/async/byte-stream.ts';
import { readBlob } from '../../../src/core/content/read.ts';
import { HawserError, hintOf, messageOf } from '../../../src/core/errors.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);

/** The message and the hint of reading 4 bytes, where there are `count`, which end with damage or do not. */
async function told(count: number, isDamaged: boolean): Promise<readonly [string, string | undefined]> {
  let left = count;
  const open = async () =>
    isDamaged
      ? new ReadableStream<Uint8Array>(
          {
            pull(controller) {
              if (left === 0) controller.error(new HawserError('DataLoss', 'damaged', { hint: 'repair' }));
              else controller.enqueue(new Uint8Array(left));
              left = 0;
            },
          },
          { highWaterMark: 0 },
        )
      : streamOf(new Uint8Array(count));
  try {
    await readBlob({ open }, { digest, size: 4 }, 8);
  } catch (err) {
    return [messageOf(err), hintOf(err)];
  }
  return ['read', undefined];
}

for (const [count, isDamaged, message, hint] of [
  [4, false, 'read', undefined],
  [4, true, 'damaged', 'repair'],
  [3, true, 'damaged', 'repair'],
  [6, true, 'damaged', 'repair'],
  [3, false, `Cannot read ${digest}: it has 3 bytes, not 4 as its descriptor says`, undefined],
  [6, false, `Cannot read ${digest}: it has 6 bytes, not 4 as its descriptor says`, undefined],
  [9, true, `Cannot read ${digest}: it has more than 8 bytes, not 4 as its descriptor says`, undefined],
] as const)
  test(`${count} bytes in the place of 4, ${isDamaged ? 'damaged' : 'sound'}`, async () => {
    assert.deepEqual(await told(count, isDamaged), [message, hint]);
  });
