import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rounds } from '../../../src/core/async/rounds.ts';

interface Begun {
  readonly key: string;
  end(err?: Error): void;
}

function gated(): { readonly rounds: Rounds; readonly begun: Begun[] } {
  const begun: Begun[] = [];
  const rounds = new Rounds(
    (key) =>
      new Promise((resolve, reject) => {
        begun.push({ key, end: (err) => (err === undefined ? resolve() : reject(err)) });
      }),
  );
  return { rounds, begun };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('who asks while a round runs waits for the next one, which all share', async () => {
  const { rounds, begun } = gated();
  const done: string[] = [];
  const join = (name: string) => rounds.join('dir').then(() => done.push(name));
  const first = join('first');
  await settle();
  const later = [join('second'), join('third')];
  await settle();
  assert.equal(begun.length, 1);
  begun[0]?.end();
  await first;
  await settle();
  assert.deepEqual(done, ['first']);
  assert.equal(begun.length, 2);
  begun[1]?.end();
  await Promise.all(later);
  assert.deepEqual(done, ['first', 'second', 'third']);
  await settle();
  assert.equal(begun.length, 2);
});

test('keys have rounds of their own, and one that is over leaves nothing behind', async () => {
  const { rounds, begun } = gated();
  const both = [rounds.join('a'), rounds.join('b')];
  await settle();
  assert.deepEqual(
    begun.map((one) => one.key),
    ['a', 'b'],
  );
  for (const one of begun) one.end();
  await Promise.all(both);
  const again = rounds.join('a');
  await settle();
  assert.equal(begun.length, 3);
  begun[2]?.end();
  await again;
});

test('a round that fails fails for those who share it, and not for the next', async () => {
  const { rounds, begun } = gated();
  const first = rounds.join('dir');
  await settle();
  const next = rounds.join('dir');
  begun[0]?.end(new Error('disk on fire'));
  await assert.rejects(first, /disk on fire/);
  await settle();
  begun[1]?.end();
  await next;
});

test('work that throws at once fails the round, not the process', async () => {
  const rounds = new Rounds(() => {
    throw new Error('not even begun');
  });
  await assert.rejects(rounds.join('dir'), /not even begun/);
  await assert.rejects(rounds.join('dir'), /not even begun/);
});
