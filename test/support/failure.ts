import assert from 'node:assert/strict';

/** What `work` rejects with. That it succeeds fails the test. */
export async function failure(work: Promise<unknown>): Promise<Error> {
  return await work.then(
    () => assert.fail('it did not fail'),
    (err: Error) => err,
  );
}
