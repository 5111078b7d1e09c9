/** What all calls of the library have in common, over its exports: aborts, unknown options, closed stores, the words of hints. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addNote, notesOf } from '../../src/core/errors.ts';
import type { Call } from '../../src/core/ports/call.ts';
import type { Report } from '../../src/core/progress/events.ts';
import type { ServeEvent } from '../../src/core/serve/events.ts';
import { called, type OptionNames } from '../../src/entry/called.ts';
import { COMMANDS, inLibrary, optionHint } from '../../src/entry/option-hints.ts';
import * as library from '../../src/mod.ts';
import * as web from '../../src/web.ts';
import { image, withBench } from '../support/bench.ts';
import { repository } from '../support/runtimes.ts';
import { realKey } from '../support/trust-fixtures.ts';

/** Options beyond what the types allow, with whatever the call needs besides. */
type Options = Record<string, unknown> & { readonly store: never };
type CallOf = (module: never, ref: string, options: Options) => Promise<unknown>;
type Face = typeof library;

/** How each exported function that does something is called. */
const CALLS: Readonly<Record<string, CallOf>> = {
  bundle: ({ bundle }: Face, ref, options) => bundle(ref, '/nowhere', options),
  catalog: ({ catalog }: Face, ref, options) =>
    catalog(ref.slice(0, ref.indexOf('/')), withoutStore(options)),
  collectionPlan: ({ collectionPlan }: Face, _, { store, ...call }) => collectionPlan(store, call),
  config: ({ config }: Face, ref, options) => config(ref, options),
  copy: ({ copy }: Face, ref, options) => copy(ref, `${ref}-2`, withoutStore(options)),
  exportImages: ({ exportImages }: Face, ref, options) =>
    exportImages([ref], { ...options, to: { file: '/nowhere/file' } }),
  fetch: ({ fetch }: Face, ref, options) => fetch(ref, options),
  fetchImage: ({ fetchImage }: Face, ref, options) => fetchImage(ref, options),
  files: ({ files }: Face, ref, options) => files(ref, options).next(),
  images: ({ images }: Face, _, options) => images(options),
  importImages: ({ importImages }: Face, _, options) => importImages({ ...options, from: '/nowhere/file' }),
  manifest: ({ manifest }: Face, ref, options) => manifest(ref, options),
  open: ({ open }: Face, ref, options) => open(ref, '/file', options),
  openContainerd: ({ openContainerd }: Face, _, options) => openContainerd(withoutStore(options)),
  openContent: ({ openContent }: Face, ref, options) => openContent(ref, '/file', options),
  openStore: ({ openStore }: Face, _, options) => openStore({ ...withoutStore(options), root: '/nowhere' }),
  plan: ({ plan }: Face, ref, options) => plan(ref, options),
  prune: ({ prune }: Face, _, options) => prune(options),
  pull: ({ pull }: Face, ref, options) => pull(ref, options),
  push: ({ push }: Face, ref, options) => push(ref, options),
  recover: ({ recover }: Face, _, options) => recover({ ...withoutStore(options), root: '/nowhere' }),
  referrers: ({ referrers }: Face, ref, options) => referrers(ref, withoutStore(options)),
  repair: ({ repair }: Face, ref, options) => repair(ref, options),
  resolve: ({ resolve }: Face, ref, options) => resolve(ref, options),
  serve: ({ serve }: Face, _, options) => serve({ ...options, port: 0 }),
  tag: ({ tag }: Face, ref, options) => tag(ref, `${ref}-2`, options),
  tags: ({ tags }: Face, ref, options) => tags(ref, withoutStore(options)),
  unpack: ({ unpack }: Face, ref, options) => unpack(ref, options),
  unpackRootfs: ({ unpackRootfs }: Face, ref, options) => unpackRootfs(ref, '/nowhere', options),
  usage: ({ usage }: Face, _, { store, ...call }) => usage(store, call),
  verify: ({ verify }: Face, _, options) => verify(options),
  verifySignatures: ({ verifySignatures }: Face, _, options) => verifySignatures(options),
};
/** Exported functions that answer at once. */
const PLAIN =
  'HawserError digestOf exitCodeOf hintOf isDigest isKind kindOf parseDigest parseReference reasonOf';
/** A hint of core's, and the same in the words of a program. */
const FLAGGED = 'Use another --root';
const SPELLED = 'Use another root';
/** Calls that take no store, or open one. */
const STORELESS = ['catalog', 'copy', 'openContainerd', 'openStore', 'recover', 'referrers', 'tags'];

function withoutStore({ store: _, ...rest }: Options): Record<string, unknown> {
  return rest;
}

interface Tried {
  readonly name: string;
  readonly module: unknown;
  readonly call: CallOf;
}

/** All calls of both modules. */
function calls(): readonly Tried[] {
  const faces = { hawser: library, 'hawser/web': web };
  return Object.entries(faces).flatMap(([face, module]) => {
    const names = Object.keys(module).filter((name) => !PLAIN.split(' ').includes(name));
    return names.map((name) => {
      const call = CALLS[name];
      assert.ok(call, `${face} exports ${name}: add how it is called`);
      const isWeb = face === 'hawser/web';
      const bare: CallOf = (exports, ref, options) => call(exports, ref, withoutStore(options) as Options);
      return { name: `${name} of ${face}`, module, call: isWeb ? bare : call };
    });
  });
}

async function failureOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (err) {
    return err;
  }
  return assert.fail('nothing was thrown');
}

test('the library: a signal that has aborted ends each call with Canceled and its reason, before any request', async () => {
  await withBench(async ({ store, registry }) => {
    const late = AbortSignal.timeout(0);
    await new Promise((done) => late.addEventListener('abort', done));
    for (const reason of [
      new TypeError('the user has left'),
      late.reason,
      new DOMException('over', 'AbortError'),
      Object.freeze(new library.HawserError('NotFound', 'not there', { hint: FLAGGED })),
    ]) {
      const options = { store: store as never, signal: AbortSignal.abort(reason) };
      for (const { name, module, call } of calls()) {
        const err = await failureOf(() => call(module as never, `${registry.host}/a/b:1`, options));
        assert.equal(library.kindOf(err), 'Canceled', `${name}: ${err}`);
        assert.equal((err as Error).cause, reason, name);
      }
    }
    assert.deepEqual(registry.log(), []);
  });
});

test('the library: the reason of an abort is not changed, and an error of the library is the caller’s own', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = `${registry.host}/a/b:1`;
    for (const kind of ['Canceled', 'DeadlineExceeded'] as const) {
      const cause = Object.freeze(new library.HawserError('NotFound', 'not there', { hint: FLAGGED }));
      const reason = Object.freeze(new library.HawserError(kind, 'too late', { hint: FLAGGED, cause }));
      const options = { store: store as never, signal: AbortSignal.abort(reason) };
      for (const { name, module, call } of calls()) {
        const err = await failureOf(() => call(module as never, ref, options));
        assert.equal(library.kindOf(err), kind, `${name}: ${err}`);
        assert.equal((err as Error).stack, reason.stack, name);
        if (kind === 'Canceled') assert.equal(err, reason, name);
      }
      assert.deepEqual([reason.hint, cause.hint], [FLAGGED, FLAGGED]);
    }
  });
});

test('the library: an error with other words is the same error in all else', () => {
  const reason = { type: 'busy' } as const;
  const cause = new library.HawserError('NotFound', 'within', { hint: 'use --plain-http' });
  const between = new TypeError('not hawser’s', { cause });
  for (const inner of [cause, between]) {
    const err = new library.HawserError('Unavailable', 'around', { hint: FLAGGED, reason, cause: inner });
    addNote(err, 'a note');
    const told = inLibrary(err);
    assert.notEqual(told, err);
    const { kind, message, name, stack, hint } = told;
    assert.deepEqual(
      { kind, message, name, stack, hint, reason: told.reason, notes: notesOf(told) },
      {
        kind: err.kind,
        message: 'around',
        name: err.name,
        stack: err.stack,
        hint: SPELLED,
        reason,
        notes: ['a note'],
      },
    );
    assert.equal(library.isKind(told, 'Unavailable'), true);
    if (inner === cause) assert.equal((told.cause as { hint?: string }).hint, 'use plainHttp');
    else assert.equal(told.cause, between);
    assert.deepEqual([err.hint, cause.hint], [FLAGGED, 'use --plain-http']);
    assert.equal(inLibrary(told), told);
  }
});

interface Heard extends Call {
  readonly onProgress: Report;
  readonly onEvent: (event: ServeEvent) => void;
}
const HEARD_NAMES: OptionNames<Heard> = { signal: true, onProgress: true, onEvent: true };

test('the library: hints that come late or as data name options, too', async () => {
  await withBench(async ({ store, registry }) => {
    const { root, layers } = await image('late');
    const ref = registry.push('a/late', '1', await image('late'));
    const digest = layers[0]?.digest ?? root.digest;
    registry.faults.push({ match: digest, method: 'GET', stall: 10 });
    const options = { retry: { tries: 0 }, timeouts: { stall: 100 } };
    for (const { open } of [library, web]) {
      const stream = await open(ref, digest, options);
      const err = await failureOf(async () => await new Response(stream).arrayBuffer());
      assert.match(library.hintOf(err) ?? '', /timeouts\.stall; 60 s by default/);
    }
    registry.faults.length = 0;
    await library.fetch(ref, { store });
    const [judged] = await library.verifySignatures({ store, verify: { keys: [realKey('signer.pub')] } });
    assert.match(judged?.hint ?? '', /pull with signatures: true/);
    assert.doesNotMatch(judged?.hint ?? '', /--/);
    const warned: unknown[] = [];
    const listen = (event: unknown) => void warned.push(event);
    const listeners: Heard = { onProgress: listen, onEvent: listen };
    await called(HEARD_NAMES, listeners, async ({ onProgress, onEvent }) => {
      onProgress({ type: 'warning', message: FLAGGED });
      onProgress({ type: 'warning', message: `host:5000 says: ${FLAGGED}` });
      onProgress({ type: 'failed', kind: 'NotFound', message: 'a', hint: FLAGGED });
      onProgress({ type: 'syncing' });
      onEvent({ type: 'failure', message: FLAGGED });
    });
    assert.deepEqual(warned, [
      { type: 'warning', message: SPELLED },
      { type: 'warning', message: `host:5000 says: ${FLAGGED}` },
      { type: 'failed', kind: 'NotFound', message: 'a', hint: SPELLED },
      { type: 'syncing' },
      { type: 'failure', message: SPELLED },
    ]);
  });
});

test('the library: an option that a call does not know is refused, with the nearest that it knows', async () => {
  await withBench(async ({ store, registry }) => {
    const options = { store: store as never, sginal: 1 };
    for (const { name, module, call } of calls()) {
      const err = await failureOf(() => call(module as never, `${registry.host}/a/b:1`, options));
      assert.equal(library.kindOf(err), 'InvalidArgument', `${name}: ${err}`);
      assert.equal((err as Error).message, 'Unknown option "sginal"', name);
      assert.equal(library.hintOf(err), 'Did you mean signal?', name);
    }
    const told: readonly (readonly [Record<string, unknown>, RegExp, RegExp])[] = [
      [{ plainHTTP: true }, /"plainHTTP"/, /Did you mean plainHttp\?/],
      [{ platform: 'linux/arm64' }, /"platform"/, /Did you mean platforms\?/],
      [{ platforms: 'linux/arm64' }, /platforms: "linux\/arm64" is no list/, /platforms: \["linux\/arm64"\]/],
      [{ retry: { tires: 1 } }, /"retry\.tires"/, /Did you mean retry\.tries\?/],
      [{ nothingAlike: 1 }, /"nothingAlike"/, /These are known: allMetadata, credentials, /],
      [{ constructor: 1 }, /"constructor"/, /These are known/],
    ];
    for (const [more, message, hint] of told) {
      const err = await failureOf(() => library.fetch(`${registry.host}/a/b:1`, { store, ...more }));
      assert.equal(library.kindOf(err), 'InvalidArgument');
      assert.match(String(err), message);
      assert.match(library.hintOf(err) ?? '', hint);
    }
    assert.deepEqual(registry.log(), []);
    await library.images({ store, ...{ absent: undefined } });
  });
});

test('the library: a store that was disposed is told as such', async () => {
  await withBench(async ({ store, registry }) => {
    await store[Symbol.asyncDispose]();
    for (const { name, module, call } of calls()) {
      if (name.endsWith('web') || STORELESS.some((one) => name.startsWith(`${one} `))) continue;
      const err = await failureOf(() =>
        call(module as never, `${registry.host}/a/b:1`, { store: store as never }),
      );
      assert.equal(library.kindOf(err), 'FailedPrecondition', `${name}: ${err}`);
      assert.match(String(err), /The store has been closed/, name);
    }
    const digest = library.digestOf(new Uint8Array());
    const parts: Readonly<Record<string, () => Promise<unknown>>> = {
      collect: () => store.collect(),
      content: () => store.content.info(digest),
      images: () => store.images.list(),
      leases: () => store.leases.list(),
      namespaceStore: () => store.namespaceStore.list(),
      namespaces: () => store.namespaces(),
      snapshotter: () => store.snapshotter('native').stat('any'),
    };
    for (const [name, work] of Object.entries(parts)) {
      const err = await failureOf(work);
      assert.equal(library.kindOf(err), 'FailedPrecondition', `${name}: ${err}`);
      assert.match(String(err), /The store has been closed/, name);
    }
  });
});

/** Texts of the sources, in quotes or backticks, that name a flag. */
function flaggedTexts(): readonly string[] {
  const src = join(repository, 'src');
  const inside = ['core', 'backends', 'platform', 'entry'].flatMap((room) =>
    readdirSync(join(src, room), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('option-hints.ts'))
      .map((file) => join(src, room, file)),
  );
  return inside.flatMap((file) => {
    const code = readFileSync(file, 'utf8').replaceAll(/^\s*(?:\*|\/\*|\/\/).*$/gm, '');
    return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)]
      .map(([, quoted, ticked]) => quoted ?? ticked ?? '')
      .filter((text) => /(?<![\w-])--[a-z]/.test(text));
  });
}

test('the library: hints name its options, and no flag of the command line', () => {
  const texts = flaggedTexts();
  assert.ok(texts.length > 80, String(texts.length));
  // What stays are commands: of other programs, and those of hawser that the library has not.
  const commands = new RegExp(COMMANDS, 'g');
  const others =
    /--(?:(?:sha256|locked|fail-fast|helper|map-root-user|map-auto|mount|permission|archive|preserve|sparse|no-target-directory|absolute-names)\b|allow-(?:[a-z]+=)?\$)/g;
  const rest = (text: string) => text.replaceAll(commands, '').replaceAll(others, '');
  const left = texts.map(optionHint).filter((text) => /(?<![\w-])--[a-z]/.test(rest(text)));
  assert.deepEqual(left, []);
  assert.equal(
    optionHint('Leave out the scheme; for a registry without TLS use --plain-http'),
    'Leave out the scheme; for a registry without TLS use plainHttp',
  );
  for (const { parseReference } of [library, web])
    assert.throws(
      () => parseReference('https://a/b'),
      (err) => /use plainHttp$/.test(library.hintOf(err) ?? ''),
    );
});
