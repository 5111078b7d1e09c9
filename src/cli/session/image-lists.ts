/** The images that arguments and lists name. */
import { absolutePath } from '../../core/absolute-path.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import { HawserError, isKind, wrap } from '../../core/errors.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { MAX_LIST_BYTES, readList } from '../../core/lists/read-list.ts';
import type { Context } from './context.ts';

/** `references` first. A broken reference among them is thrown, one in a list is an error of the list. */
export async function imagesOf(
  context: Context,
  references: readonly string[],
  files: readonly string[],
): Promise<ImageList> {
  const given: Listed[] = [];
  for (const text of references)
    given.push({ reference: await referenceOf(context.runtime, text, context), at: 'argument' });
  const lists: ImageList[] = [];
  for (const file of files)
    lists.push(await readList(await textOf(context, file), file === '-' ? 'standard input' : file));
  return {
    images: merged([...given, ...lists.flatMap(({ images }) => images)]),
    errors: lists.flatMap(({ errors }) => errors),
    warnings: lists.flatMap(({ warnings }) => warnings),
  };
}

async function textOf(context: Context, file: string): Promise<string> {
  const { fs, host } = context.runtime;
  if (file === '-') return await standardInput(context);
  try {
    const bytes = await fs.readFile(absolutePath(file, host), MAX_LIST_BYTES, { signal: context.signal });
    return new TextDecoder().decode(bytes);
  } catch (err) {
    throw wrap(`Cannot read the list "${file}"`, err);
  }
}

async function standardInput({ runtime: { host }, signal }: Context): Promise<string> {
  const lines: string[] = [];
  let length = 0;
  for (;;) {
    try {
      const line = await host.readLine({ signal });
      length += line.length + 1;
      if (length > MAX_LIST_BYTES)
        throw new HawserError('ResourceExhausted', `more than the ${MAX_LIST_BYTES} bytes allowed`);
      lines.push(line);
    } catch (err) {
      if (isKind(err, 'OutOfRange')) return lines.join('\n');
      throw wrap('Cannot read the list on standard input', err);
    }
  }
}

/** Each record once, with the platforms of all its mentions. InvalidArgument for one record with two digests. */
function merged(images: readonly Listed[]): Listed[] {
  const byName = new Map<string, Listed>();
  for (const image of images) {
    const { name, digest } = image.reference;
    const before = byName.get(name);
    if (before !== undefined && before.reference.digest !== digest) {
      throw new HawserError('InvalidArgument', `${name} has two digests (${before.at}, ${image.at})`, {
        hint: 'Leave one of them out: a name can be recorded with one digest only',
      });
    }
    const all = [before, image].flatMap((one) => (one === undefined ? [] : [one.platforms]));
    byName.set(name, { ...image, at: before?.at ?? image.at, platforms: union(all) });
  }
  return [...byName.values()];
}

/** A mention without platforms leaves them to the others. */
function union(platforms: readonly Listed['platforms'][]): Listed['platforms'] {
  const all = new Set(platforms.flatMap((some) => some ?? []));
  return all.size === 0 ? undefined : [...all];
}
