/** The last step of what brings an image: its record and, where a CRI plugin reads the records, all that CRI looks for. */
import { cleanupSignal } from '../async/abort.ts';
import { type Undo, undoable } from '../async/undo.ts';
import type { Backend } from '../backend.ts';
import type { Labels } from '../content/content-store.ts';
import { HawserError, ifFound } from '../errors.ts';
import { ALL_ADMITTED, admittedLabel } from '../images/admitted.ts';
import { digestName, imageId, MANAGED, PINNED, tagName } from '../images/cri.ts';
import { type Image, isUnchanged, takenName } from '../images/image-store.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { formatPlatform } from '../platforms/format.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';

/** What the verbs that record images take. */
export interface RecordOptions {
  /**
   * Records what a CRI plugin looks for: the image's ID, `repository@digest` and the name, each with CRI's label. Not given: where a CRI
   * plugin reads the records.
   */
  readonly forCri?: boolean | undefined;
  /** Pins the image: garbage collections of CRI and of hawser leave it alone. */
  readonly pin?: boolean | undefined;
}

export interface NewRecord {
  readonly name: string;
  readonly target: Descriptor;
  readonly labels: Labels;
  /** Of an index that nobody vouches for: digests of the entries that have come in. Undefined: all. */
  readonly entries?: ReadonlySet<string> | undefined;
  /** AlreadyExists where the name names another image. */
  readonly keepsOther?: boolean;
}

/** What became of a record. */
export interface Recorded {
  /** As given; for CRI without the digest of a name that has both tag and digest. */
  readonly name: string;
  /** What the name named before, where that was another image. */
  readonly before: Digest | undefined;
  /** The other names of the image, for CRI. */
  readonly also: readonly string[];
}

interface RecordCall extends WriteCall {
  readonly report: Report;
}

interface RecordDeps {
  readonly backend: Pick<Backend, 'namespace' | 'criNamespace' | 'images' | 'content'>;
  readonly hostPlatform: Platform;
}

/** Whether records are made for CRI. InvalidArgument where none is there to read them; a warning where it reads another namespace. */
export function isForCri(
  { namespace, criNamespace }: RecordDeps['backend'],
  { forCri = namespace === criNamespace }: RecordOptions,
  report: Report = () => {},
): boolean {
  if (forCri && criNamespace === undefined)
    throw new HawserError(
      'InvalidArgument',
      'Cannot record images for CRI: this store is not a containerd’s',
      {
        hint: 'Leave --for-cri away, or name a containerd with --address',
      },
    );
  if (forCri && namespace !== criNamespace)
    report({
      type: 'warning',
      message: `CRI reads the namespace ${criNamespace} only, and the images go into ${namespace}`,
    });
  return forCri;
}

/** Records images. `undo` gets what takes back the records that were made; those that moved name a whole image, and stay. */
export class Recorder {
  readonly #deps: RecordDeps;
  readonly #options: RecordOptions;
  readonly #report: Report;
  readonly #call: WriteCall;
  readonly #forCri: boolean;
  /** By target. */
  readonly #ids = new Map<Digest, Promise<Digest | undefined>>();

  constructor(deps: RecordDeps, options: RecordOptions, { report, lease, signal }: RecordCall) {
    this.#deps = deps;
    this.#options = options;
    this.#report = report;
    this.#call = { lease, signal };
    this.#forCri = isForCri(deps.backend, options);
  }

  /** The name last, so that whoever finds the name finds all. After a failure no record is left that this call has made. */
  async record(image: NewRecord, undo: Undo): Promise<Recorded> {
    const { target, entries, keepsOther = false } = image;
    const name = this.#forCri ? tagName(image.name) : image.name;
    const { images } = this.#deps.backend;
    const found = await ifFound(images.get(name, this.#call));
    const before = found?.target.digest === target.digest ? undefined : found?.target.digest;
    if (keepsOther && before !== undefined) throw takenName(name, before);
    const admitted =
      entries === undefined ? ALL_ADMITTED : admittedLabel(target.digest, entries, found?.labels);
    const records = await this.#recordsOf({ ...image, name, labels: { ...image.labels, ...admitted } });
    const made: Image[] = [];
    const takeBack = () => this.#takeBack(made);
    await undoable(async (own) => {
      own(takeBack);
      for (const one of records) {
        const there = one.name === name ? found : await ifFound(images.get(one.name, this.#call));
        if (this.#forCri && there !== undefined && holds(there, one)) continue;
        const put = await images.put(one.name, one.target, one.labels, {
          ...this.#call,
          keepsOther: one.keepsOther,
        });
        if (there === undefined) made.push(put);
      }
    });
    undo(takeBack);
    return { name, before, also: records.slice(0, -1).map((one) => one.name) };
  }

  async #takeBack(made: readonly Image[]): Promise<void> {
    const { images } = this.#deps.backend;
    const call = { signal: cleanupSignal() };
    for (const one of [...made].reverse()) {
      const now = await ifFound(images.get(one.name, call));
      if (now !== undefined && isUnchanged(one, now)) await ifFound(images.delete(one.name, call));
    }
  }

  /** In the order in which they are made. */
  async #recordsOf(image: NewRecord): Promise<readonly NewRecord[]> {
    const { name, target } = image;
    const pinned = this.#options.pin === true ? PINNED : {};
    const id = this.#forCri ? await this.#idOf(name, target) : undefined;
    const own = id === undefined ? pinned : { ...MANAGED, ...pinned };
    const labels = { ...image.labels, ...own };
    const byId =
      id === undefined ? [] : [{ name: id, target: await this.#targetOf(id, target), labels: own }];
    const digest = this.#forCri ? digestName(name, target) : undefined;
    const byDigest = digest === undefined || digest === name ? [] : [{ name: digest, target, labels }];
    return [...byId, ...byDigest, { ...image, labels }];
  }

  async #idOf(name: string, target: Descriptor): Promise<Digest | undefined> {
    const { backend, hostPlatform } = this.#deps;
    const known = this.#ids.get(target.digest);
    const id = known ?? imageId(backend.content, target, hostPlatform, this.#call);
    this.#ids.set(target.digest, id);
    if (known === undefined && (await id) === undefined)
      this.#report({
        type: 'warning',
        message: `CRI does not show ${name}: it has no image for ${formatPlatform(hostPlatform)} here`,
      });
    return await id;
  }

  /** Of two indexes with the same image, the one that has the ID keeps it. */
  async #targetOf(id: Digest, target: Descriptor): Promise<Descriptor> {
    const { backend, hostPlatform } = this.#deps;
    const there = (await ifFound(backend.images.get(id, this.#call)))?.target;
    if (there === undefined || there.digest === target.digest) return target;
    return (await imageId(backend.content, there, hostPlatform, this.#call)) === id ? there : target;
  }
}

function holds({ target, labels }: Image, wanted: NewRecord): boolean {
  const { digest, mediaType, size } = wanted.target;
  if (target.digest !== digest || target.mediaType !== mediaType || target.size !== size) return false;
  return Object.entries(wanted.labels).every(([key, value]) => (labels[key] ?? '') === value);
}
