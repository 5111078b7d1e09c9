import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cleanedUp, cleaningUp, closingAfter, withOpen } from '../../../src/core/async/cleanup.ts';
import { undoable } from '../../../src/core/async/undo.ts';
import { addNote, HawserError, messageOf, notesOf, undone, wrap } from '../../../src/core/errors.ts';

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

test('notes: an error that is frozen has them, too, and no error is changed', () => {
  for (const err of [Object.freeze(new Error('x')), new HawserError('Canceled', 'x')]) {
    const before = Reflect.ownKeys(err);
    addNote(err, 'note');
    assert.deepEqual(notesOf(err), ['note']);
    assert.deepEqual(Reflect.ownKeys(err), before);
  }
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

test('closing: the error of the work comes first; closing alone fails with its own', async () => {
  const opened = { close: fails('close') };
  for (const run of [
    (work: () => Promise<number>) => closingAfter(work, fails('close')),
    (work: () => Promise<number>) => withOpen(Promise.resolve(opened), work),
  ]) {
    const err = await run(fails('work')).catch((err: unknown) => err);
    assert.deepEqual([messageOf(err), notesOf(err)], ['work', ['close']]);
    await assert.rejects(
      run(async () => 7),
      /^HawserError: close$/,
    );
  }
  assert.equal(await withOpen(Promise.resolve({ close: async () => {} }), async () => 7), 7);
  await assert.rejects(
    withOpen(fails('open')(), async () => 7),
    /open/,
  );
});

test('undone returns the first error, too', () => {
  const first = new Error('first');
  const undo = (): void => {
    throw new Error('second');
  };
  assert.equal(undone(first, undo), first);
  assert.deepEqual(notesOf(first), ['second']);
});

/** What cannot fail: a promise whose failure is looked at on the spot, and the store's `tidy`. */
const CERTAIN = /\.catch\(\(\) => \{\}\)|\.tidy\(/;

test('no awaited call in a finally block of src can take the place of the first error', () => {
  const found: string[] = [];
  let blocks = 0;
  for (const [name, text] of sources()) {
    // A block ends at the line with its own indentation.
    for (const [, , block = ''] of text.matchAll(/^( *)\} finally \{\n(.*?)^\1\}/gms)) {
      blocks++;
      found.push(...block.split('\n').flatMap((line) => (mayFail(line) ? [`${name}: ${line.trim()}`] : [])));
    }
  }
  assert.ok(blocks > 50, `${blocks} blocks`);
  assert.deepEqual(found, []);
});

test('nor can an awaited closing in a catch block that throws the error on', () => {
  const found: string[] = [];
  let blocks = 0;
  for (const [name, text] of sources()) {
    for (const [, , block = ''] of text.matchAll(/^( *)\} catch \(\w+\) \{\n(.*?)^\1\}/gms)) {
      blocks++;
      if (!/^ *throw (?:err|error|reason|first);$/m.test(block)) continue;
      const closing = /^ *await \S*(?:close|reset|release\w*|remove|asyncDispose\])\(.*\);$/gm;
      found.push(...(block.match(closing) ?? []).map((line) => `${name}: ${line.trim()}`));
    }
  }
  assert.ok(blocks > 100, `${blocks} blocks`);
  assert.deepEqual(found, []);
});

function* sources(): Generator<readonly [name: string, text: string]> {
  const src = new URL('../../../src/', import.meta.url);
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.ts')) yield [name, readFileSync(new URL(name, src), 'utf8')];
  }
}

function mayFail(line: string): boolean {
  return /\bawait\b/.test(line) && !CERTAIN.test(line);
}
