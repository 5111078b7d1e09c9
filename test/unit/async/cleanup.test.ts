import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanedUp, cleaningUp } from '../../../src/core/async/cleanup.ts';
import { undoable } from '../../../src/core/async/undo.ts';
import { addNote, HawserError, messageOf, notesOf, wrap } from '../../../src/core/errors.ts';

const fails = (message: string) => async (): Promise<never> => {
  throw new HawserError('Internal', message);
};
const late: string[] = [];
const told = (failure: unknown): void => void late.push(messageOf(failure));

test('cleaning up: the first error is the error, later ones are its notes', async () => {
  const err = await cleaningUp(fails('work'), fails('clean'), told).catch((err: unknown) => err);
  assert.equal(messageOf(err), 'work');
  assert.deepEqual(notesOf(wrap('outer', err)), ['clean']);
  const outer = await cleaningUp(() => cleaningUp(fails('work'), fails('inner')), fails('outer')).catch(
    (e: unknown) => e,
  );
  assert.deepEqual([messageOf(outer), notesOf(outer)], ['work', ['inner', 'outer']]);
  assert.deepEqual(late.splice(0), []);
});

test('cleaning up: after success a failure is told, and the result stands', async () => {
  assert.equal(await cleaningUp(async () => 7, fails('clean'), told), 7);
  assert.deepEqual(late.splice(0), ['clean']);
  assert.equal(await cleaningUp(async () => 7, fails('clean')), 7);
});

test('cleaning up: it waits for the clean-up, whether work failed or not', async () => {
  for (const work of [async () => {}, fails('work')]) {
    let done = false;
    const clean = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      done = true;
    };
    await cleaningUp(work, clean).catch(() => {});
    assert.ok(done);
  }
});

test('notes: bounded, and nothing for what is no error', () => {
  const err = new Error('x');
  for (let at = 0; at < 100; at++) addNote(err, `${at}`);
  assert.equal(notesOf(err).length, 10);
  addNote('text', 'note');
  assert.deepEqual(notesOf('text'), []);
});

test('cleanedUp returns the first error, and what cleaning up meets is a note of it', async () => {
  const first = new Error('first');
  assert.equal(await cleanedUp(first, () => Promise.reject(new Error('second'))), first);
  assert.deepEqual(notesOf(first), ['second']);
  const clean = new Error('alone');
  assert.equal(await cleanedUp(clean, () => Promise.resolve(1)), clean);
  assert.deepEqual(notesOf(clean), []);
});

test('undoable undoes the last step first; an undo that fails ends the undoing, and is a note of the error', async () => {
  const done: string[] = [];
  const work = undoable(async (undo) => {
    undo(async () => void done.push('a'));
    undo(() => Promise.reject(new Error('cannot undo')));
    undo(async () => void done.push('c'));
    throw new Error('first');
  });
  await assert.rejects(work, (err) => {
    assert.equal((err as Error).message, 'first');
    assert.deepEqual(notesOf(err), ['cannot undo']);
    return true;
  });
  assert.deepEqual(done, ['c']);
});
