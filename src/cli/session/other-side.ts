/** What --lacks names, as that which tells an export what the other side has. */
import { absolutePath } from '../../core/absolute-path.ts';
import { readHave } from '../../core/carry/have.ts';
import { haveOfRegistry, haveOfStore, type OtherSide } from '../../core/carry/other-side.ts';
import { wrap } from '../../core/errors.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { NetworkFlag, RegistryFlag } from '../grammar/registry-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { withRegistry } from './asking.ts';
import { type Context, namespaceOf, withContainerd } from './context.ts';
import { checkCredentials } from './transfer-many.ts';

type AskingContext = Context<RegistryFlag | NetworkFlag>;

const REGISTRY = 'docker://';

/** Files are read at once; registries and containerds are asked when the layers are known. */
export async function otherSides(context: AskingContext, named: readonly string[]): Promise<OtherSide[]> {
  const repositories = new Map(
    named.filter((one) => one.startsWith(REGISTRY)).map((one) => [one, repositoryOf(one)]),
  );
  checkCredentials(
    context,
    [...repositories.values()].map((reference) => ({ reference })),
  );
  const sides: OtherSide[] = [];
  for (const text of named) {
    const repository = repositories.get(text);
    if (repository !== undefined) sides.push(registrySide(context, text, repository));
    else if (await isSocket(context, text)) sides.push(containerdSide(context, text));
    else sides.push(await fileSide(context, text));
  }
  return sides;
}

/** `docker://HOST/REPOSITORY`. A usage error for a tag or a digest: it would look as if only that image were asked for. */
function repositoryOf(text: string): Reference {
  const name = text.slice(REGISTRY.length);
  if (/[:@][^/]*$/.test(name.slice(name.indexOf('/') + 1)))
    throw usageError(
      `--lacks ${text} names no repository`,
      'Write it as docker://HOST/REPOSITORY, without a tag',
    );
  return parseReference(name);
}

async function isSocket({ runtime, signal }: AskingContext, text: string): Promise<boolean> {
  if (text.startsWith('unix:')) return true;
  const info = await runtime.fs.stat(absolutePath(text, runtime.host), { follow: true, signal });
  return info?.type === 'other';
}

function registrySide(context: AskingContext, text: string, repository: Reference): OtherSide {
  return (layers, call) =>
    telling(text, () =>
      withRegistry(context, repository, (deps) => haveOfRegistry(deps, repository, layers, call)),
    );
}

/** As `inventory --address` lists it: the namespace is that of --namespace. */
function containerdSide(context: AskingContext, text: string): OtherSide {
  const { host, hashers } = context.runtime;
  const address = text.startsWith('unix:') ? text : absolutePath(text, host);
  const place = { address, namespace: namespaceOf(context.input) };
  return (_, call) =>
    telling(text, () =>
      withContainerd(context, place, ({ content }) => haveOfStore({ content, hashers }, call)),
    );
}

async function fileSide({ runtime, signal }: AskingContext, path: string): Promise<OtherSide> {
  const have = await readHave(runtime, absolutePath(path, runtime.host), { signal });
  return async () => have;
}

async function telling<T>(text: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (err) {
    throw wrap(`Cannot tell from ${text} what the other side has`, err);
  }
}
