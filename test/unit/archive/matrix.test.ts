/**
 * Layer stacks with one right result, in every way: what the reference model says. That the model is right about them, by
 * hand-written results, is reference-model.test.ts.
 */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { messageOf } from '../../../src/core/errors.ts';
import { layer } from '../../support/layer-builder.ts';
import { type Case, caseTitle } from '../../support/layer-case.ts';
import { HIDING } from '../../support/layer-cases-hiding.ts';
import { NAMES } from '../../support/layer-cases-names.ts';
import { WRITING } from '../../support/layer-cases-writing.ts';
import { needs } from '../../support/needs.ts';
import { differs } from './oracle.ts';
import { Stacks, syscallsHere, type View, WAY_NAMES } from './stacks.ts';

const CASES: Readonly<Record<string, Case>> = { ...HIDING, ...WRITING, ...NAMES };

function check(wanted: Case, view: View): void {
  assert.deepEqual(differs(wanted.layers, view), []);
  const { way, failure, warnings } = view;
  if (wanted.fails !== undefined) assert.match(messageOf(failure?.error), wanted.fails, way);
  else if (wanted.warns === undefined) assert.deepEqual(warnings, [], way);
  else assert.match(warnings.join('\n'), wanted.warns, way);
}

describe('layer stacks', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, () => {
  let stacks: Stacks;
  let outcomes: ReadonlyMap<string, readonly View[]>;
  const skipsDeep = syscallsHere().provider === 'ffi' ? false : 'each call starts a program here';
  const slug = (name: string): string => name.replace(/[^a-zA-Z0-9]+/g, '-');

  before(async () => {
    stacks = new Stacks(syscallsHere());
    for (const [name, { layers, deep }] of Object.entries(CASES)) {
      if (deep && skipsDeep !== false) continue;
      const tars = layers.map((entries) => layer(...entries));
      stacks.add(slug(name), tars);
    }
    outcomes = await stacks.outcomes();
  });
  after(() => stacks.close());

  for (const [name, wanted] of Object.entries(CASES)) {
    test(caseTitle(name, wanted), { skip: wanted.deep ? skipsDeep : false }, () => {
      const views = outcomes.get(slug(name)) ?? [];
      assert.equal(views.length, WAY_NAMES.length);
      for (const view of views) check(wanted, view);
      if (wanted.upper !== undefined) {
        const last = stacks.upper(slug(name), wanted.layers.length - 1);
        assert.deepEqual(readdirSync(last).sort(), wanted.upper);
      }
    });
  }

  test('whiteouts are hard links to one device', () => {
    const upper = stacks.upper(slug('many whiteouts share one inode'), 1);
    const inodes = new Set(readdirSync(upper).map((name) => lstatSync(`${upper}/${name}`).ino));
    assert.equal(inodes.size, 1);
    assert.equal(readdirSync(upper).length, 20);
  });
});
