/** A blob from registries that misbehave into a real store: resumed, spliced with nothing wrong, once more, from others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchBlob } from '../../../src/core/download/fetch-blob.ts';
import { Link } from '../../../src/core/download/link.ts';
import { type HawserError, isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import type { ProgressEvent } from '../../../src/core/progress/events.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES, type Hosts } from '../../../src/core/registry/hosts.ts';
import type { RegistryOptions } from '../../../src/core/registry/open.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { descriptor, fakeClock, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { collectStream, type TestStore, withStore } from '../../support/stores.ts';

const BLOB = noise(300_000, 11);
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const DESC = descriptor(LAYER, sha256(BLOB), BLOB.length);

interface Scene {
  readonly registries: readonly TestRegistry[];
  readonly store: TestStore;
  readonly events: ProgressEvent[];
  /** Fetches, and gives the bytes that are then in the store. */
  fetch(desc?: Descriptor, options?: RegistryOptions): Promise<Uint8Array>;
}

/** One registry for each list of faults; the last is the reference's own, those before it are its mirrors. */
function scene(
  title: string,
  faults: readonly (readonly Fault[])[],
  body: (scene: Scene) => Promise<void>,
): void {
  test(title, async () => {
    const registries = await Promise.all(faults.map((list) => startRegistry({ faults: list })));
    try {
      for (const registry of registries) registry.putBlob('t/a', DESC.digest, BLOB);
      await withStore(async (store) => {
        const events: ProgressEvent[] = [];
        const fetch = async (desc = DESC, options: RegistryOptions = {}) =>
          await fetchInto(store, registries, events, desc, options);
        await body({ registries, store, events, fetch });
      });
    } finally {
      for (const registry of registries) await registry.close();
    }
  });
}

async function fetchInto(
  store: TestStore,
  registries: readonly TestRegistry[],
  events: ProgressEvent[],
  desc: Descriptor,
  options: RegistryOptions,
): Promise<Uint8Array> {
  const reference = parseReference(`${registries.at(-1)?.host}/t/a:x`);
  const clock = fakeClock();
  const limits = { stall: 100, headers: 1000, connect: 1000 };
  return await withClient({ clock, limits, hosts: hostsOf(registries), ...options }, async (client) => {
    const { content } = store.backend;
    const fetcher = client.fetcher(reference);
    const report = (event: ProgressEvent) => void events.push(event);
    await fetchBlob({ content, fetcher, clock, report, link: new Link(clock) }, desc, {});
    return await collectStream(await content.open(desc.digest));
  });
}

const hostsOf =
  (registries: readonly TestRegistry[]): Hosts =>
  async () => ({
    source: 'test',
    hosts: registries.map(({ host, url }) => ({
      name: host,
      base: new URL(`${url}/v2`),
      capabilities: ALL_CAPABILITIES,
    })),
  });

const ranges = ({ requests }: TestRegistry) => requests.map(({ range }) => range);
const whole = (registry: TestRegistry) => ranges(registry).filter((range) => range === undefined).length;
const [CUT, SHORT] = [100_000, 123_456];
const ranged = (request: { headers: ReadonlyMap<string, string> }) => request.headers.has('range');

const LOST: Readonly<Record<string, Fault>> = {
  'cut with a FIN': { cutAfter: CUT },
  'cut with an RST': { cutAfter: CUT, reset: true },
  stalled: { stall: CUT },
  'cut in chunked coding': { cutAfter: CUT, chunked: true },
  'without a length, and cut': { cutAfter: CUT, noContentLength: true },
  'without a byte': { stall: 0 },
};
for (const [title, fault] of Object.entries(LOST)) {
  scene(
    `a body ${title} is taken up where it ended (H12, H40)`,
    [[{ times: 'stall' in fault ? 1 : 2, ...fault }]],
    async ({ fetch, registries }) => {
      assert.deepEqual(await fetch(), BLOB);
      const [registry] = registries as [TestRegistry];
      const asked = ranges(registry);
      assert.equal(asked.length, 'stall' in fault ? 2 : 3, String(asked));
      const sent = registry.requests.reduce((sum, request) => sum + request.sent, 0);
      // A reset takes what the system has not handed over yet.
      const lost = fault.reset === true ? CUT : 65_536;
      assert.ok(sent <= BLOB.length + 2 * lost, `${sent} bytes sent`);
    },
  );
}

scene(
  'a short body that ends in order is resumed (H40)',
  [[{ short: SHORT, times: 1 }]],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(ranges(registries[0] as TestRegistry), [undefined, `bytes=${SHORT}-`]);
  },
);

scene(
  'half of what is left each time: the ranges go on from there (H40)',
  [
    [
      { short: 150_000, times: 1 },
      { rangeLimit: 75_000, times: 1 },
    ],
  ],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(ranges(registries[0] as TestRegistry), [undefined, 'bytes=150000-', 'bytes=225000-']);
  },
);

scene(
  'a blob that is shorter than it should be ends with what it has (H40)',
  [[{ short: SHORT }]],
  async ({ fetch, store }) => {
    await assert.rejects(fetch(), /only 123456 of the 300000 bytes/);
    assert.deepEqual(await store.backend.content.list(), []);
  },
);

for (const chunked of [false, true]) {
  scene(
    `a blob that a mirror has only a part of comes from the other host, ${chunked ? 'in chunks' : 'with a length'} (H43)`,
    [[{ short: SHORT, ...(chunked && { chunked: true }) }], []],
    async ({ fetch, registries }) => {
      assert.deepEqual(await fetch(), BLOB);
      const [mirror, registry] = registries.map(ranges) as [(string | undefined)[], (string | undefined)[]];
      assert.equal(mirror[0], undefined);
      assert.deepEqual(registry, [chunked ? `bytes=${SHORT}-` : undefined]);
    },
  );
}

scene(
  'a page in chunks in the place of a blob: what followed from the other host is fetched from there anew (H43)',
  [[{ body: '<!doctype html>', chunked: true }], []],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(ranges(registries[1] as TestRegistry), ['bytes=15-', undefined]);
  },
);

const WRONG: Readonly<Record<string, Fault>> = {
  'a long body': { overlong: 5 },
  'a body of the right size with a wrong byte': { corrupt: 77_777 },
};
for (const [title, fault] of Object.entries(WRONG)) {
  scene(
    `${title} is dropped and fetched once more (H40)`,
    [[{ ...fault, times: 1 }]],
    async ({ fetch, registries, events }) => {
      assert.deepEqual(await fetch(), BLOB);
      assert.equal(whole(registries[0] as TestRegistry), 2);
      assert.equal(events.filter(({ type }) => type === 'retry').length, 1);
    },
  );

  scene(
    `${title} from a mirror: the other host is asked (H40, H43)`,
    [[fault], []],
    async ({ fetch, registries }) => {
      assert.deepEqual(await fetch(), BLOB);
      assert.deepEqual(registries.map(whole), [1, 1]);
    },
  );
}

scene(
  'wrong bytes everywhere are an error with both digests, and nothing stays (H40)',
  [[{ corrupt: 9 }], [{ corrupt: 9 }]],
  async ({ fetch, registries, store }) => {
    const wrong = BLOB.slice();
    wrong[9] = (wrong[9] ?? 0) ^ 0xff;
    await assert.rejects(fetch(), (err) => {
      assert.ok(isKind(err, 'DataLoss'));
      assert.match((err as HawserError).message, new RegExp(`${sha256(wrong)}, expected ${DESC.digest}`));
      return true;
    });
    assert.deepEqual(registries.map(whole), [1, 1]);
    assert.deepEqual(await store.backend.content.list(), []);
    const [left] = await store.backend.content.listStatuses();
    assert.equal(left?.offset ?? 0, 0);
  },
);

const RANGES: Readonly<Record<string, Fault>> = {
  'is answered with 200 and everything': { ignoreRange: true },
  'is answered with 200 and less than is there': { ignoreRange: true, short: 50_000, times: 1 },
  'is answered with another offset': { wrongRange: 'bytes 0-199999/300000' },
  'is answered with another total': { wrongRange: 'bytes 100000-299999/300001' },
  'is answered without Content-Range': { wrongRange: '' },
  'is answered with multipart/byteranges': { multipart: true },
  'is refused with 416': { status: 416 },
  'is refused with 400': { status: 400 },
  'is answered in gzip': { contentEncoding: 'gzip' },
  'is answered without a length': { noContentLength: true },
  'is answered with the bytes of another place': { shiftRange: 1000, times: 1 },
};
for (const [title, fault] of Object.entries(RANGES)) {
  scene(
    `a Range that ${title} splices nothing wrong (H41)`,
    [
      [
        { cutAfter: CUT, times: 1 },
        { ...fault, when: ranged },
      ],
    ],
    async ({ fetch }) => {
      assert.deepEqual(await fetch(), BLOB);
    },
  );
}

scene(
  'a blob that changed before its second part is fetched whole (H42)',
  [
    [
      { cutAfter: CUT, times: 1 },
      { changed: true, times: 1 },
    ],
  ],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    const [registry] = registries as [TestRegistry];
    assert.deepEqual(ranges(registry), [undefined, `bytes=${CUT}-`, undefined]);
  },
);

scene(
  'parts of two hosts that do not fit: whole from one (H42)',
  [[{ cutAfter: CUT, stall: CUT, times: 1 }], [{ changed: true, times: 1 }]],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.ok(
      registries.some((registry) =>
        registry.requests.some((one) => one.range === undefined && one.sent === BLOB.length),
      ),
    );
  },
);

scene(
  'a mirror that sent damage is asked last from then on (H43)',
  [[{ corrupt: 5 }], []],
  async ({ registries, store }) => {
    const other = noise(1000, 77);
    const desc = descriptor(LAYER, sha256(other), other.length);
    for (const registry of registries) registry.putBlob('t/a', desc.digest, other);
    await withClient({ clock: fakeClock(), hosts: hostsOf(registries) }, async (client) => {
      const { content } = store.backend;
      const fetcher = client.fetcher(parseReference(`${registries.at(-1)?.host}/t/a:x`));
      const deps = { content, fetcher, clock: fakeClock(), report: () => {} };
      await fetchBlob(deps, DESC, {});
      await fetchBlob(deps, desc, {});
    });
    assert.deepEqual(
      registries.map(({ requests }) => requests.length),
      [1, 2],
    );
  },
);

scene(
  'a host that stalls is left for another, which goes on from the last byte',
  [[{ stall: CUT }], []],
  async ({ fetch, registries }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(registries.map(ranges), [[undefined], [`bytes=${CUT}-`]]);
  },
);

scene(
  'a 503 of a mirror: the next host at once, without a wait',
  [[{ status: 503 }], []],
  async ({ fetch, registries, events }) => {
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(
      registries.map(({ requests }) => requests.length),
      [1, 1],
    );
    assert.ok(events.every(({ type }) => type !== 'retry'));
  },
);

test('a slow stream over HTTP is split, each byte is sent once, and ranges that are cut go on', async () => {
  const registry = await startRegistry({
    faults: [{ when: ranged, cutAfter: 20_000, rate: 200_000, skip: 1, times: 2 }, { rate: 200_000 }],
  });
  registry.putBlob('t/a', DESC.digest, BLOB);
  try {
    await withStore(async ({ backend: { content } }) => {
      const clock = createClock();
      await withClient({ clock }, async (client) => {
        const fetcher = client.fetcher(parseReference(`${registry.host}/t/a:x`));
        const link = new Link(clock, { piece: 32_768, interval: 50 });
        await fetchBlob({ content, fetcher, clock, report: () => {}, link }, DESC, {});
        assert.deepEqual(await collectStream(await content.open(DESC.digest)), BLOB);
      });
    });
    const asked = ranges(registry);
    assert.equal(asked[0], undefined);
    assert.ok(asked.length >= 3, String(asked));
    const sent = registry.requests.reduce((sum, one) => sum + one.sent, 0);
    assert.ok(sent <= BLOB.length + 3 * 65_536, `${sent} bytes sent`);
  } finally {
    await registry.close();
  }
});

scene(
  'what an earlier process left is resumed; when it is wrong it goes',
  [[]],
  async ({ fetch, registries, store }) => {
    const leave = async (bytes: Uint8Array): Promise<void> => {
      const ingest = await store.backend.content.ingest(`layer-${DESC.digest}`, DESC);
      await ingest.write(bytes);
      await ingest[Symbol.asyncDispose]();
    };
    await leave(noise(200_000, 5));
    assert.deepEqual(await fetch(), BLOB);
    assert.deepEqual(ranges(registries[0] as TestRegistry), ['bytes=200000-', undefined]);
  },
);

scene('inline data needs no request', [[]], async ({ fetch, registries }) => {
  const [registry] = registries as [TestRegistry];
  assert.deepEqual(await fetch({ ...DESC, data: BLOB }), BLOB);
  assert.equal(registry.requests.length, 0);
});

scene('wrong inline data is no more than a hint', [[]], async ({ fetch, registries }) => {
  const [registry] = registries as [TestRegistry];
  assert.deepEqual(await fetch({ ...DESC, data: noise(BLOB.length, 4) }), BLOB);
  assert.deepEqual(ranges(registry), [undefined]);
});

scene('an empty blob', [[]], async ({ fetch, registries }) => {
  const empty = descriptor(LAYER, sha256(new Uint8Array()), 0);
  assert.equal((await fetch(empty)).length, 0);
  assert.equal((registries[0] as TestRegistry).requests.length, 0);
});

for (const [title, faults, foreignGets] of [
  ['has it', [], 1],
  ['does not have it', [{ status: 404 }], 1],
  ['is broken', [{ status: 500 }], 1],
  ['gives something else', [{ corrupt: 3 }], 1],
] as const) {
  test(`foreign URLs, when allowed: the server ${title}; no credentials, the registry else`, async () => {
    const foreign = await startRegistry({ faults });
    const registry = await startRegistry({ auth: { mode: 'basic', user: 'u', pass: 'p' } });
    try {
      for (const one of [foreign, registry]) one.putBlob('t/a', DESC.digest, BLOB);
      await withStore(async (store) => {
        const desc = {
          ...DESC,
          urls: ['ftp://x/y', 'not a url', `http://user:s3cret@${foreign.host}/v2/t/a/blobs/${DESC.digest}`],
        };
        const credentials = async () => ({ username: 'u', secret: 'p' });
        const bytes = await fetchInto(store, [registry], [], desc, { foreignUrls: true, credentials });
        assert.deepEqual(bytes, BLOB);
        assert.equal(foreign.requests.length, foreignGets);
        assert.equal(
          registry.requests.some(({ status }) => status === 200),
          title !== 'has it',
        );
        for (const { authorization, headers } of foreign.requests) {
          assert.equal(authorization, undefined);
          assert.doesNotMatch(JSON.stringify([...headers]), /s3cret/);
        }
      });
    } finally {
      await foreign.close();
      await registry.close();
    }
  });
}

test('foreign URLs, when allowed: the next one where one has nothing, then no registry', async () => {
  const foreign = await startRegistry();
  foreign.putBlob('t/a', DESC.digest, BLOB);
  await withStore(async (store) => {
    const urls = ['none', 't/a'].map((name) => `${foreign.url}/v2/${name}/blobs/${DESC.digest}`);
    const registry = await startRegistry();
    assert.deepEqual(await fetchInto(store, [registry], [], { ...DESC, urls }, { foreignUrls: true }), BLOB);
    assert.deepEqual(
      foreign.requests.map(({ status }) => status),
      [404, 200],
    );
    assert.equal(registry.requests.length, 0);
    await registry.close();
  });
  await foreign.close();
});
