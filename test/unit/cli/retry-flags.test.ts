/** `--retry` and `--retry-time` do as their help says, seen through a command and in the time that the command has slept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REGISTRY_FLAGS, RETRY, RETRY_TIME } from '../../../src/cli/grammar/registry-flags.ts';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { defaultHosts } from '../../../src/core/registry/hosts.ts';
import { openRegistry, type RegistryOptions } from '../../../src/core/registry/open.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { fakeClock, transports } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry } from '../../registry/registry.ts';
import { fakeRuntime } from './fake-runtime.ts';

const BLOB = noise(100_000, 3);
const DIGEST = sha256(BLOB);

interface Outcome {
  readonly code: number;
  readonly err: string;
  /** Requests for the blob by HEAD, or by GET: the tries of each. */
  readonly heads: number;
  readonly gets: number;
  /** Seconds that the command has waited. */
  readonly waited: number;
}

/** `content fetch-blob` with these flags; `gone`: nothing listens where the registry was. */
async function fetchBlob(flags: readonly string[], faults: readonly Fault[], gone = false): Promise<Outcome> {
  const registry = await startRegistry({ faults });
  try {
    registry.putBlob('t/a', DIGEST, BLOB);
    if (gone) await registry.close();
    const clock = fakeClock();
    const began = clock.now();
    const fake = fakeRuntime();
    let heads = 0;
    const ours = transports();
    const counting = {
      ...ours,
      open: (options: Parameters<typeof ours.open>[0]) => {
        const opened = ours.open(options);
        const send: typeof opened.send = (request) => {
          if (request.method === 'HEAD' && request.url.pathname.includes('/blobs/')) heads++;
          return opened.send(request);
        };
        return { ...opened, send };
      },
    };
    const open = (_: unknown, options: RegistryOptions) =>
      openRegistry({ transports: counting, clock }, { ...options, hosts: defaultHosts({ plainHttp: true }) });
    const runtime = { ...fake.runtime, clock, hashers: createHashers() };
    const args = ['content', 'fetch-blob', ...flags, `${registry.host}/t/a:x`, DIGEST];
    const code = await run(runtime, args, { openRegistry: open } as unknown as Services);
    const gets = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
    return { code, err: fake.err(), heads, gets: gets.length, waited: (clock.now() - began) / 1000 };
  } finally {
    await registry.close();
  }
}

const DOWN: readonly Fault[] = [{ status: 503 }];
const BUSY: readonly Fault[] = [{ status: 429, retryAfter: 20 }];
/** Each request brings 20 kB more. */
const CUT: readonly Fault[] = [{ method: 'GET', cutAfter: 20_000 }];

interface Row {
  readonly title: string;
  readonly flags: readonly string[];
  readonly faults: readonly Fault[];
  readonly gone?: boolean;
  readonly check: (outcome: Outcome) => void;
}

const between = (value: number, least: number, most: number): void =>
  assert.ok(value >= least && value <= most, `${value} is not from ${least} to ${most}`);

const ROWS: readonly Row[] = [
  {
    title: '0: none',
    flags: ['--retry', '0'],
    faults: DOWN,
    check: ({ code, heads, waited }) => assert.deepEqual([code, heads, waited], [1, 1, 0]),
  },
  {
    title: 'N tries after the failure',
    flags: ['--retry', '4'],
    faults: DOWN,
    check: ({ heads, err }) => {
      assert.equal(heads, 5);
      assert.match(err, /given up after 5 tries without progress/);
    },
  },
  {
    title: 'in a row and without progress: a body that grows each time has all its tries again',
    flags: ['--retry', '1'],
    faults: CUT,
    check: ({ code, gets }) => assert.deepEqual([code, gets], [0, 5]),
  },
  {
    title: 'a failure that cannot pass is not tried again',
    flags: ['--retry', '9'],
    faults: [{ status: 403 }],
    check: ({ code, heads, waited }) => assert.deepEqual([code, heads, waited], [1, 1, 0]),
  },
  {
    title: 'the default: as many as --retry-time allows',
    flags: ['--retry-time', '20s'],
    faults: DOWN,
    check: ({ heads, waited }) => {
      between(heads, 5, 12);
      between(waited, 5, 20);
    },
  },
  {
    title: 'the default of --retry-time: 5 minutes',
    flags: [],
    faults: DOWN,
    check: ({ waited }) => between(waited, 240, 300),
  },
  {
    title: 'whichever ends first',
    flags: ['--retry', '1000', '--retry-time', '10s'],
    faults: DOWN,
    check: ({ waited }) => between(waited, 2, 10),
  },
  {
    title: 'a wait that the registry asks for counts: one of 20 s fits into 30 s, two do not',
    flags: ['--retry-time', '30s'],
    faults: BUSY,
    check: ({ heads, waited }) => {
      assert.equal(heads, 2);
      between(waited, 19, 21);
    },
  },
  {
    title: 'a wait that does not fit is not begun',
    flags: ['--retry-time', '10s'],
    faults: BUSY,
    check: ({ heads, waited, err }) => {
      assert.deepEqual([heads, waited], [1, 0]);
      assert.match(err, /Wait 20 s, as it asks/);
    },
  },
  {
    title: 'three tries for a registry that was never reached',
    flags: [],
    faults: [],
    gone: true,
    check: ({ code, heads, waited, err }) => {
      assert.deepEqual([code, heads], [1, 3]);
      assert.ok(waited < 2, `${waited} s`);
      assert.match(err, /connection refused/);
    },
  },
  {
    title: 'a registry that was never reached, with a number that was asked for',
    flags: ['--retry', '6'],
    faults: [],
    gone: true,
    check: ({ heads }) => assert.equal(heads, 7),
  },
  {
    title: 'a registry that was never reached, with a time that was asked for',
    flags: ['--retry-time', '1m'],
    faults: [],
    gone: true,
    check: ({ heads, waited }) => {
      assert.ok(heads > 6, `${heads} tries`);
      between(waited, 25, 60);
    },
  },
];

for (const { title, flags, faults, gone, check } of ROWS) {
  test(`retry flags: ${flags.join(' ') || 'none'}: ${title}`, async () =>
    check(await fetchBlob(flags, faults, gone)));
}

test('retry flags: the help that the tests above are of', () => {
  assert.match(
    RETRY.describe,
    /may pass, in a row and without progress \(default: as many as --retry-time allows; 0: none\)/,
  );
  assert.match(
    RETRY_TIME.describe,
    /this long without progress, waits that a registry asks for included \(default 5m; three tries for a registry that was never reached\)/,
  );
  assert.ok(REGISTRY_FLAGS.length > 0);
});
