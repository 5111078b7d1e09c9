/** `content/index.json`: the image records in the form of an OCI image layout, for skopeo, umoci, crane and oras. */
import { cleanedUp } from '../../core/async/cleanup.ts';
import { Rounds } from '../../core/async/rounds.ts';
import { isKind } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { differingKeys } from './copies.ts';
import { entriesOf, lostImage } from './lost.ts';
import { digestIn, number, text } from './rows.ts';
import type { Store } from './store.ts';

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';
const MAX_INDEX_BYTES = 1 << 28;
const encoder = new TextEncoder();
const projections = new WeakMap<Store, Rounds>();

/**
 * One entry for each name over all namespaces; of several, `default` wins, then the first namespace in order of names. index.json is what
 * `recover` goes by: where a record is damaged, the entry that index.json has by now stays.
 */
function render(store: Store, now: string | undefined): string {
  const rows = store.db
    .prepare("SELECT * FROM images ORDER BY name, CASE ns WHEN 'default' THEN 0 ELSE 1 END, ns")
    .all();
  const doubtful = new Set(differingKeys(store.db, 'images').map(nameIn));
  const targets = new Map<string, Descriptor>();
  for (const row of rows) {
    const name = text(row, 'name');
    if (doubtful.has(name) || targets.has(name)) continue;
    const target = targetIn(row, name);
    if (target === undefined) doubtful.add(name);
    else targets.set(name, target);
  }
  if (doubtful.size > 0)
    for (const [name, target] of targetsIn(now)) if (doubtful.has(name)) targets.set(name, target);
  const manifests = [...targets].sort(byName).map(([name, { mediaType, digest, size }]) => {
    const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
    return { mediaType, digest, size, annotations };
  });
  return `${JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests,
  })}\n`;
}

type Named = readonly [string, unknown];

function byName([a]: Named, [b]: Named): number {
  return a < b ? -1 : 1;
}

/** The name in a key of a row of images; '' in a damaged one. */
function nameIn(key: string): string {
  try {
    return `${(JSON.parse(key) as unknown[])[1]}`;
  } catch {
    return '';
  }
}

/** Undefined for a damaged record. */
function targetIn(row: Row, name: string): Descriptor | undefined {
  try {
    const digest = digestIn(row, `the image ${name}`);
    return { mediaType: text(row, 'media_type'), digest, size: number(row, 'size') };
  } catch (err) {
    if (isKind(err, 'DataLoss')) return undefined;
    throw err;
  }
}

/** By name. */
function targetsIn(index = ''): ReadonlyMap<string, Descriptor> {
  const images = entriesOf(encoder.encode(index)).map(lostImage);
  return new Map(images.flatMap((image) => (image === undefined ? [] : [[image.name, image.target]])));
}

function generation(store: Store): number {
  const row = store.db.prepare('SELECT images FROM generation').get();
  return row === undefined ? 0 : number(row, 'images');
}

/** Within a transaction that changes images. */
export function touchImages(store: Store): void {
  store.db.prepare('UPDATE generation SET images = images + 1').run();
}

/** One temporary file for each process and name, which others remove when the process is dead. */
async function replace(store: Store, name: string, content: string, call?: Call): Promise<void> {
  const { fs } = store.runtime;
  const dir = store.path('content');
  const temporary = `${dir}/.${name}.${store.owner.id}`;
  const file = await fs.open(temporary, 'write', 0o600, call);
  try {
    await file.truncate(0);
    await file.write(encoder.encode(content), 0);
    await file.sync();
    await file.close();
    await fs.rename(temporary, `${dir}/${name}`, call);
  } catch (err) {
    throw await cleanedUp(err, async () => {
      await file.close();
      await fs.remove(temporary, { tree: true });
    });
  }
  await fs.syncDir(dir, call);
}

/** With the id of its process; hawser 0.1 had 12 digits of chance there. */
const TEMPORARY = /^\.(?:index\.json|oci-layout)\.([0-9a-f]{12}|[0-9a-f]{16})$/;

/** Removes the temporary files that dead processes left. */
async function sweepTemporary(store: Store, call?: Call): Promise<void> {
  const dir = store.path('content');
  for (const { name, type } of await store.runtime.fs.list(dir, call)) {
    const owner = type === 'file' ? TEMPORARY.exec(name)?.[1] : undefined;
    if (owner === undefined || (await store.owner.look(owner, call)) === 'alive') continue;
    await store.runtime.fs.remove(`${dir}/${name}`, call);
  }
}

/** The content of index.json; undefined when it is no regular file. */
async function shown(store: Store, call?: Call): Promise<string | undefined> {
  const { fs } = store.runtime;
  const path = store.path('content/index.json');
  if ((await fs.stat(path, call))?.type !== 'file') return undefined;
  return new TextDecoder().decode(await fs.readFile(path, MAX_INDEX_BYTES, call));
}

/**
 * Rewrites index.json unless it is right. Each writer, in this process or others, looks at the records again after its
 * rename and writes once more when they have changed, so the last writer to finish has written the newest state.
 */
async function update(store: Store): Promise<void> {
  for (;;) {
    const before = generation(store);
    const now = await shown(store);
    const content = render(store, now);
    if (now !== content) await replace(store, 'index.json', content);
    if (generation(store) === before) return;
  }
}

/** Brings index.json up to date with the records as they are now. Callers at the same time share one rewriting. */
export async function project(store: Store): Promise<void> {
  const known = projections.get(store) ?? new Rounds(() => update(store));
  projections.set(store, known);
  await known.join('index.json');
}

/**
 * Writes the files that make `content/` a layout, where they are missing or older than the records. A full disk leaves that to a
 * later opening, for whoever frees space has to open the store; so does a damaged database, which `verify` tells of.
 */
export async function ensureLayout(store: Store, call?: Call): Promise<void> {
  await sweepTemporary(store, call);
  try {
    if ((await store.runtime.fs.stat(store.path('content/oci-layout'), call)) === undefined) {
      await replace(store, 'oci-layout', LAYOUT, call);
    }
    await project(store);
  } catch (err) {
    if (!isKind(err, 'ResourceExhausted', 'DataLoss')) throw err;
  }
}
