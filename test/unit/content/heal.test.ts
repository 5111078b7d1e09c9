/** Which errors make a store look at the bytes of a blob: hashing a large one takes long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMisfit, withSoundBlob } from '../../../src/core/content/heal.ts';
import { HawserError, type Kind, type Reason, wrap } from '../../../src/core/errors.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';

const errno = (name: string): Reason => ({ type: 'errno', errno: name });
const made = (kind: Kind, reason?: Reason) =>
  wrap('reading', new HawserError(kind, kind, reason === undefined ? {} : { reason }));

const MALFORMED: Reason = { type: 'malformed' };
const MISFIT: readonly unknown[] = [
  made('DataLoss'),
  made('DataLoss', { type: 'mismatch', expected: 1, actual: 2 }),
  made('InvalidArgument'),
  made('InvalidArgument', MALFORMED),
  made('ResourceExhausted', MALFORMED),
  made('NotImplemented', MALFORMED),
];
const UNREADABLE: readonly unknown[] = [
  made('Internal', errno('EIO')),
  made('NotFound', errno('ENOENT')),
  made('NotFound'),
  made('FailedPrecondition'),
  made('Internal'),
  new TypeError('of containerd, or a fault of ours'),
];
const NEITHER: readonly unknown[] = [
  made('InvalidArgument', { type: 'unmapped', owner: 'user', id: 5, file: 'a' }),
  made('FailedPrecondition', { type: 'unmapped', owner: 'user', id: 5, file: 'a' }),
  made('NotImplemented'),
  made('PermissionDenied'),
  made('ResourceExhausted'),
  made('InvalidArgument', errno('EINVAL')),
  made('ResourceExhausted', errno('ENOSPC')),
  made('FailedPrecondition', { type: 'needs-below' }),
  made('FailedPrecondition', { type: 'mounted', at: '/a' }),
  made('Unavailable', { type: 'busy' }),
  made('AlreadyExists'),
  made('Canceled'),
  made('DeadlineExceeded'),
];

const DESC = { mediaType: 'a/b', digest: makeDigest('sha256', 'a'.repeat(64)), size: 1 };

/** How often the blob is hashed when `err` comes of it. */
async function hashings(err: unknown): Promise<number> {
  let hashed = 0;
  const verify = async () => ++hashed > 0;
  const work = withSoundBlob({ content: { verify } }, DESC, {}, () => Promise.reject(err));
  await assert.rejects(work, (got) => got === err);
  return hashed;
}

test('a misfit and an unreadable file may be rot; refusals of the system, of limits and of formats are not', async () => {
  for (const err of MISFIT) assert.deepEqual([isMisfit(err), await hashings(err)], [true, 1], `${err}`);
  for (const err of UNREADABLE) assert.deepEqual([isMisfit(err), await hashings(err)], [false, 1], `${err}`);
  for (const err of NEITHER) assert.deepEqual([isMisfit(err), await hashings(err)], [false, 0], `${err}`);
});
