/** What `input.get` gives, and that it takes declared flags only: the compiler is the test (`@ts-expect-error`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command } from '../../../src/cli/commands/command.ts';
import { text } from '../../../src/cli/grammar/flag.ts';
import { CONTENT_SHARING, JOBS, LABEL, QUIET, ROOT } from '../../../src/cli/grammar/flags.ts';
import { Input } from '../../../src/cli/grammar/input.ts';
import { CODEC } from '../../../src/cli/grammar/layer-flags.ts';
import { LIMIT_RATE, REGISTRY_FLAGS, RETRY_TIME, USER } from '../../../src/cli/grammar/registry-flags.ts';
import type { TransferFlag } from '../../../src/cli/grammar/transfer-flags.ts';
import { variables } from '../../../src/cli/grammar/variables.ts';

const shape = { path: ['x'], args: [], summary: '' };

test('flags: a command may ask for its own and the global ones, others do not compile', () => {
  command({
    ...shape,
    flags: [QUIET, ...REGISTRY_FLAGS, text({ name: 'own', value: 'X', describe: '' })],
    run: async (context, input) => {
      input.get(QUIET) satisfies boolean;
      input.get(ROOT) satisfies string | undefined;
      context.input.get(USER) satisfies string | undefined;
      // @ts-expect-error: a text is not a switch
      input.get(USER) satisfies boolean;
      // @ts-expect-error: not declared
      input.get(JOBS);
      // @ts-expect-error: not declared
      input.has(JOBS);
      // @ts-expect-error: not declared
      context.input.get(LIMIT_RATE);
      // @ts-expect-error: not declared under this name
      input.get(text({ name: 'other', value: 'X', describe: '' }));
      return {};
    },
  });
});

test('flags: what asks for more than a command declares cannot be given its input', () => {
  const some = new Input<'user'>([], new Map(), []);
  const wants = (_: Input<TransferFlag>): void => {};
  // @ts-expect-error: it declares one of them only
  wants(some);
  wants(new Input<TransferFlag | 'quiet'>([], new Map(), []));
});

test('flags: values have the type of their flag', () => {
  const given = {
    codec: ['native'],
    label: ['a', 'b'],
    'limit-rate': ['1k'],
    'retry-time': ['1m'],
    jobs: ['3'],
  };
  const input = new Input<string>([], new Map(Object.entries(given)), []);
  input.get(CODEC) satisfies 'auto' | 'native' | 'portable' | undefined;
  assert.equal(input.get(CODEC), 'native');
  assert.deepEqual(input.get(LABEL), ['a', 'b']);
  assert.deepEqual([input.get(LIMIT_RATE), input.get(RETRY_TIME), input.get(JOBS)], [1024, 60_000, 3]);
  assert.equal(input.get(QUIET), false);
});

test('flags: a bad value of the environment is told with the name of its variable', () => {
  const input = new Input<string>([], new Map(), [variables(() => 'some')]);
  assert.throws(
    () => input.get(CONTENT_SHARING),
    /invalid value "some" for HAWSER_CONTENT_SHARING: want shared, isolated/,
  );
});
