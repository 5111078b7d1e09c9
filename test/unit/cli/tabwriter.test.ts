import assert from 'node:assert/strict';
import { test } from 'node:test';
import { align, SPACES, TABS } from '../../../src/cli/render/tabwriter.ts';

test('tabwriter: tab-terminated cells are padded, the last of a row too', () => {
  assert.equal(align('REF\tTYPE\t\nlonger\tx\t\n'), 'REF    TYPE \nlonger x    \n');
});

test('tabwriter: text after the last tab is not padded', () => {
  assert.equal(align('a\tb\tHEAD\t\nccc\tdd\ttrue\n'), 'a   b  HEAD \nccc dd true\n');
});

test('tabwriter: a table without rows collapses to single blanks', () => {
  assert.equal(align('REF\tTYPE\tDIGEST\t\n'), 'REF TYPE DIGEST \n');
});

test('tabwriter: a line without the column ends its run', () => {
  assert.equal(align('a\tb\t\nnothing\nlonger\tb\t\n'), 'a b \nnothing\nlonger b \n');
});

test('tabwriter: a column is as wide as its widest cell within the run only', () => {
  assert.equal(
    align('key:\tdone\t|bar|\t\nk:\tdownloading\t|bar|\t1/2\t\n', SPACES),
    'key: done        |bar| \nk:   downloading |bar| 1/2 \n',
  );
});

test('tabwriter: empty cells have the minimum width and the padding', () => {
  assert.equal(align('KEY\tPARENT\tKIND\t\nk\t\tActive\t\n'), 'KEY PARENT KIND   \nk          Active \n');
});

test('tabwriter: with tabs a column ends at a stop of eight', () => {
  const digest = `sha256:${'1'.repeat(64)}`;
  assert.equal(
    align(`DIGEST\tSIZE\tAGE\tLABELS\n${digest}\t2.035kB\tLess than a second\t-\n`, TABS),
    `DIGEST\t\t\t\t\t\t\t\t\tSIZE\tAGE\t\t\tLABELS\n${digest}\t2.035kB\tLess than a second\t-\n`,
  );
});

test('tabwriter: widths count code points', () => {
  assert.equal(align('é𝄞\tx\t\nabc\tx\t\n'), 'é𝄞  x \nabc x \n');
});
