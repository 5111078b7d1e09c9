/** `--pull` of the commands that take an image of the store or of its registry: whom they ask, and what is told of an old tag. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Context } from '../../src/cli/session/context.ts';
import { unanswered } from '../../src/cli/session/pull-policy.ts';
import {
  findError,
  HawserError,
  hintOf,
  type Kind,
  kindOf,
  type Reason,
  wrap,
} from '../../src/core/errors.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

let registry: TestRegistry;
let dir: ReturnType<typeof tempDir>;
let count = 0;
before(async () => {
  registry = await startRegistry();
  dir = tempDir();
});
after(async () => {
  await registry.close();
  dir[Symbol.dispose]();
});

const saying = (text: string) => buildImage({ layers: [{ entries: [{ name: 'a', data: text }] }] });
const [older, newer] = [await saying('older'), await saying('newer')];

/** `later`: milliseconds by which the clock is ahead. */
async function hawser(args: readonly string[], later = 0): Promise<RanHere> {
  const base = composeRuntime(parts, { workerUrl: workerUrl() });
  const clock: typeof base.clock = {
    now: () => base.clock.now() + later,
    monotonic: () => base.clock.monotonic(),
    sleep: (ms, signal) => base.clock.sleep(ms, signal),
  };
  const ran = await runHere({ ...base, clock }, join(dir.path, 'root'), args);
  await base.workers[Symbol.asyncDispose]();
  return ran;
}

/** The commands, each with what it makes of the file of the image. */
const COMMANDS: Readonly<
  Record<
    string,
    (ref: string, how: readonly string[], later?: number) => Promise<{ ran: RanHere; file: string }>
  >
> = {
  cat: async (ref, how, later) => {
    const ran = await hawser(['cat', ...how, ref, '/a'], later);
    return { ran, file: ran.out };
  },
  cp: async (ref, how, later) => {
    const ran = await hawser(['cp', ...how, `${ref}:/a`, dir.path, '--force'], later);
    return { ran, file: ran.code === 0 ? readFileSync(join(dir.path, 'a'), 'utf8') : '' };
  },
  'unpack --rootfs': async (ref, how, later) => {
    const to = join(dir.path, `rootfs${++count}`);
    const ran = await hawser(
      ['unpack', ...how, ref, '--rootfs', to, '--owner', 'ours', '--progress', 'none'],
      later,
    );
    return { ran, file: ran.code === 0 ? readFileSync(join(to, 'a'), 'utf8') : '' };
  },
};

for (const [name, command] of Object.entries(COMMANDS)) {
  test(`${name}: missing takes what is here, always asks, never does not, and an old tag is told`, async () => {
    const tag = name.replace(/\W+/g, '-');
    const ref = registry.push('a/b', tag, older);
    const absent = await command(ref, ['--pull', 'never']);
    assert.equal(absent.ran.code, 1);
    assert.match(
      absent.ran.err,
      /is not in the store with all of its layers, and --pull never asks no registry\nhint: Pull the image/,
    );
    assert.equal((await hawser(['content', 'fetch', ref, '-q'])).code, 0);
    registry.push('a/b', tag, newer);
    const asked = registry.traffic('').requests;
    for (const how of [[], ['--pull', 'missing'], ['--pull', 'never']]) {
      const { ran, file } = await command(ref, how);
      assert.deepEqual([ran.code, ran.err, file], [0, '', 'older'], how.join(' '));
    }
    const late = await command(ref, [], 9 * 24 * 3600 * 1000);
    assert.match(
      late.ran.err,
      /warning: .* is as it was pulled 9 days ago: --pull always asks the registry whether the tag has moved\n/,
    );
    assert.equal((await command(ref, ['--pull', 'never'], 9 * 24 * 3600 * 1000)).ran.err, '');
    assert.equal(registry.traffic('').requests, asked, 'the registry was asked');
    const fresh = await command(ref, ['--pull', 'always']);
    assert.deepEqual([fresh.ran.code, fresh.file], [0, 'newer'], fresh.ran.err);
  });
}

test('--pull is for what may ask a registry', async () => {
  const ref = registry.push('a/b', 'v1', older);
  assert.match((await hawser(['unpack', '--pull', 'always', ref])).err, /flag --pull goes with --rootfs/);
});

/** Errors of asking with `--pull always`, and whether `--pull missing` would do without what failed. */
const FAILURES: readonly (readonly [name: string, err: unknown, helps: boolean])[] = [
  ['no connection', failed('Unavailable', { type: 'exchange', code: 'ECONNREFUSED' }), true],
  ['no answer in time', failed('DeadlineExceeded', { type: 'exchange', code: 'HEADERS_TIMEOUT' }), true],
  ['a server that fails', failed('Unavailable', { type: 'status', status: 503 }), true],
  ['one that says no', failed('PermissionDenied', { type: 'status', status: 403 }), false],
  ['a database that another process has locked', failed('Unavailable', { type: 'locked' }), false],
  ['a blob that another process fetches', failed('Unavailable', { type: 'busy' }), false],
  ['a judge whose time is over', failed('DeadlineExceeded'), false],
];

function failed(kind: Kind, reason?: Reason): HawserError {
  return wrap('fetching', new HawserError(kind, 'it failed', { reason, hint: 'Look' }));
}

test('--pull missing is named where the registry fails, and not for what else fails', () => {
  const asking = (pull: string) => ({ input: { get: () => pull } }) as unknown as Context<'pull'>;
  for (const [name, err, helps] of FAILURES) {
    const told = unanswered(asking('always'), err);
    const hint = helps ? 'Look. --pull missing takes the image of the store, where the store has it' : 'Look';
    assert.deepEqual([kindOf(told), hintOf(told)], [kindOf(err), hint], name);
    assert.deepEqual(findError(told)?.reason, findError(err)?.reason, name);
    assert.equal(unanswered(asking('missing'), err), err, name);
  }
});

test('a registry that is not reached, and one that fails: --pull missing is named', async () => {
  const ref = registry.push('a/b', 'down', older);
  registry.faults.push({ status: 503 });
  for (const name of ['127.0.0.1:1/a/b:v1', ref]) {
    const { code, err } = await hawser(['cat', '--pull', 'always', '--retry', '0', name, '/a']);
    assert.equal(code, 1);
    assert.match(err, /^hint: .*--pull missing takes the image of the store/m);
  }
});
