/** The images that arguments and lists name. */
import { absolutePath } from '../../core/absolute-path.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import { findError, HawserError, isKind, wrap } from '../../core/errors.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { MAX_LIST_BYTES, readList } from '../../core/lists/read-list.ts';
import type { Context } from './context.ts';

/**
 * `references` first. A broken reference among them is thrown, one in a list is an error of the list. `keepsGoing`: a list that cannot be
 * read, and a name with a second digest, are errors too. Default: they are thrown.
 */
export async function imagesOf(
  context: Context,
  references: readonly string[],
  files: readonly string[],
  { keepsGoing = false }: { readonly keepsGoing?: boolean } = {},
): Promise<ImageList> {
  const given: Listed[] = [];
  for (const text of references)
    given.push({ reference: await referenceOf(context.runtime, text, context), at: 'argument' });
  const refused: HawserError[] = [];
  const refuse = (err: unknown): void => {
    const known = findError(err);
    if (!keepsGoing || known === undefined) throw err;
    refused.push(known);
  };
  const lists: ImageList[] = [];
  for (const file of files) {
    try {
      lists.push(await readList(await textOf(context, file), file === '-' ? 'standard input' : file));
    } catch (err) {
      context.signal.throwIfAborted();
      refuse(err);
    }
  }
  const images = merged([...given, ...lists.flatMap(({ images }) => images)], refuse);
  return {
    images,
    errors: [...refused, ...lists.flatMap(({ errors }) => errors)],
    warnings: lists.flatMap(({ warnings }) => warnings),
  };
}

const LIST_HINT =
  'A list is a file of at most 1 MiB, or - for standard input; a relative path begins at the working directory';

async function textOf(context: Context, file: string): Promise<string> {
  const { fs, host } = context.runtime;
  if (file === '-') return await standardInput(context);
  try {
    const bytes = await fs.readFile(absolutePath(file, host), MAX_LIST_BYTES, { signal: context.signal });
    return new TextDecoder().decode(bytes);
  } catch (err) {
    throw wrap(`Cannot read the list "${file}"`, err, LIST_HINT);
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
      throw wrap('Cannot read the list on standard input', err, LIST_HINT);
    }
  }
}

/** Each record once, with the platforms of all its mentions. `refuse` gets InvalidArgument for a record's second digest, which is left out. */
function merged(images: readonly Listed[], refuse: (err: HawserError) => void): Listed[] {
  const byName = new Map<string, Listed>();
  for (const image of images) {
    const { name, digest } = image.reference;
    const before = byName.get(name);
    if (before !== undefined && before.reference.digest !== digest) {
      const what = `${name} has two digests (${before.at}, ${image.at})`;
      refuse(
        new HawserError('InvalidArgument', what, {
          hint: 'Leave one of them out: a name can be recorded with one digest only',
        }),
      );
      continue;
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
