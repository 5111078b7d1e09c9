/** A file that notes what a check found sound, line by line. */
import { absolutePath } from '../../core/absolute-path.ts';
import { cleaningUp } from '../../core/async/cleanup.ts';
import { HawserError, ifFound } from '../../core/errors.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import type { SoundThings } from '../../core/verify/report.ts';
import { type Context, late, namespaceOf, storePlace } from './context.ts';
import { requireOutsideStore } from './keep-out.ts';

/** Bytes: some 600,000 lines. */
const MAX_BYTES = 1 << 26;

/**
 * Runs `work` with what the file notes. The file is removed when `work` has come to its end; after an interruption it stays.
 * FailedPrecondition for a file of something else, or of another store or namespace.
 */
export async function withSoundFile<T>(
  context: Context,
  given: string | undefined,
  work: (sound: SoundThings | undefined) => Promise<T>,
): Promise<T> {
  if (given === undefined) return await work(undefined);
  const { runtime, signal } = context;
  const { fs } = runtime;
  const path = absolutePath(given, runtime.host);
  await requireOutsideStore(context, path);
  const head = `hawser verify 1 ${JSON.stringify(storePlace(context))} ${namespaceOf(context.input)}`;
  const old = await ifFound(fs.readFile(path, MAX_BYTES, { signal }));
  const lines = new TextDecoder().decode(old).split('\n');
  // The last line may have been cut by an interruption.
  const whole = lines.slice(0, -1);
  if (old !== undefined && old.length > 0 && whole[0] !== head) throw foreign(path);
  const file = await fs.open(path, 'write', 0o600, { signal });
  const sound = new SoundFile(file, head, whole.slice(1));
  const result = await cleaningUp(
    async () => {
      await sound.begin();
      return await work(sound);
    },
    () => file.close(),
    late(context, 'closing the file of --resume'),
  );
  await fs.remove(path, { signal });
  return result;
}

function foreign(path: string): HawserError {
  return new HawserError('FailedPrecondition', `${path} is not of a check of this store and namespace`, {
    hint: 'Name another file with --resume, or remove it',
  });
}

class SoundFile implements SoundThings {
  readonly #file: FileHandle;
  readonly #head: string;
  readonly #things: Set<string>;
  #size = 0;

  constructor(file: FileHandle, head: string, things: readonly string[]) {
    this.#file = file;
    this.#head = head;
    this.#things = new Set(things);
  }

  /** Drops a line that was cut. */
  async begin(): Promise<void> {
    await this.#append([this.#head, ...this.#things]);
    await this.#file.truncate(this.#size);
  }

  has(thing: string): boolean {
    return this.#things.has(thing);
  }

  async add(thing: string): Promise<void> {
    if (this.#things.has(thing)) return;
    this.#things.add(thing);
    await this.#append([thing]);
  }

  async #append(lines: readonly string[]): Promise<void> {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''));
    const at = this.#size;
    this.#size += bytes.length;
    await this.#file.write(bytes, at);
  }
}
