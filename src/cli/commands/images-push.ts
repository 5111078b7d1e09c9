import { visible } from '../../core/bytes.ts';
import { isLayoutSource } from '../../core/carry/layout-source.ts';
import { hintOf, kindOf, messageOf } from '../../core/errors.ts';
import type { Report } from '../../core/progress/events.ts';
import type { ImageFailure } from '../../core/progress/final-event.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { Ended } from '../../core/verbs/many.ts';
import { type PushDeps, type PushResult, push, pushesTogether } from '../../core/verbs/push.ts';
import { bool, type NamesOf, text } from '../grammar/flag.ts';
import { FAIL_FAST, LIST_FILE, LIST_FORMS } from '../grammar/list-flags.ts';
import { PUSH_FLAGS } from '../grammar/push-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, warn, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { imagesOf } from '../session/image-lists.ts';
import { networkOptions } from '../session/network-options.ts';
import { below, requireDistinct, type SentOptions, sentOptions } from '../session/pushing.ts';
import { registryOptions } from '../session/registry-options.ts';
import { displayed, withRegistry } from '../session/transfer.ts';
import {
  checkCredentials,
  displayedMany,
  failedImage,
  failuresOf,
  nothing,
  outcomeOf,
} from '../session/transfer-many.ts';
import { DONE, type Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const TO = text({
  name: 'to',
  value: 'HOST[/PATH]',
  describe: 'push each image below this place, which takes the place of its registry',
});

const FLAGS = [
  TO,
  LIST_FILE,
  FAIL_FAST,
  ...PUSH_FLAGS,
  bool({ name: 'local', describe: 'accepted: hawser always does the work itself, as ctr --local' }),
];
type PushContext = Context<NamesOf<typeof FLAGS>>;

/** An image here, and its name there. */
interface Pair {
  readonly local: string;
  readonly to: Reference;
}

const SHOWN = { unpacks: false, printChainId: false, sends: true };

export const imagesPush: Command = command({
  path: ['images', 'push'],
  short: true,
  args: ['[remote]', '[local...]'],
  summary: 'send images of the store to a registry',
  details:
    'REMOTE is the name at the registry, LOCAL the image here (default: of the same name). With -f or --to all arguments are images.\n' +
    'What the registry has is not sent again, another repository of the registry lends its layers, and the tag moves last.\n' +
    `${LIST_FORMS}\n` +
    '\nExamples:\n' +
    '  hawser push registry.example/team/app:1 alpine:3.20\n' +
    '  hawser push --to registry.example/mirror -f images.txt',
  flags: FLAGS,
  run: async (context, input) => {
    const layout = input.args.find(isLayoutSource);
    if (layout !== undefined)
      throw usageError(
        'push sends images of the store, and no layout',
        `Without the store: hawser copy ${visible(layout)} REMOTE; or bring it in first: hawser import`,
      );
    const isMany = input.get(LIST_FILE).length > 0;
    if (!isMany && input.arg(0) === '')
      throw usageError('please provide an image reference to push', 'Name an image, or a list with -f FILE');
    if (isMany || (input.get(TO) !== undefined && input.args.length > 1)) return await pushMany(context);
    if (input.args.length > 2)
      throw usageError('too many arguments', 'Of several images, name the place with --to HOST[/PATH]');
    const [remote = '', local = remote] = input.args;
    const place = input.get(TO);
    const pair =
      place === undefined
        ? { local, to: parseReference(remote) }
        : { local: remote, to: below(place, parseReference(remote)) };
    const options = sentOptions(context);
    await displayed(context, SHOWN, (report) =>
      withDeps(context, pair.to, report, (deps) => pushOne(context, deps, pair, { ...options, report })),
    );
    return DONE;
  },
});

async function withDeps<T>(
  context: PushContext,
  to: Reference,
  report: Report,
  work: (deps: PushDeps) => Promise<T>,
): Promise<T> {
  const options = { ...(await registryOptions(context, to)), ...networkOptions(context.input), report };
  return await withExisting(context, (backend) => withRegistry(context, backend, options, work));
}

async function pushOne(
  { signal }: PushContext,
  deps: PushDeps,
  { local, to }: Pair,
  options: SentOptions & { readonly report: Report },
): Promise<PushResult> {
  const image = await findImage(deps.backend.images, local, { signal });
  return await push(deps, { ...options, image, to });
}

async function pushMany(context: PushContext): Promise<Outcome> {
  const { input, signal } = context;
  const list = await imagesOf(context, input.args, input.get(LIST_FILE));
  for (const message of list.warnings) await warn(context, `warning: ${message}`);
  const place = input.get(TO);
  const pairs = list.images.map(({ reference }) => ({
    local: reference.name,
    to: place === undefined ? reference : below(place, reference),
  }));
  const [first] = pairs;
  if (first === undefined || (input.get(FAIL_FAST) && list.errors.length > 0)) return nothing(list);
  requireDistinct(pairs);
  checkCredentials(
    context,
    pairs.map(({ to }) => ({ reference: to })),
  );
  const options = sentOptions(context);
  const unread = list.errors.map((err) => failedImage('', err));
  let ended: readonly Ended<PushResult>[] = [];
  await displayedMany(context, SHOWN, unread, async (report) => {
    ended = await withDeps(context, first.to, report, async (deps) => {
      const pushes = pushesTogether(options);
      report({ type: 'images', count: pairs.length });
      const all: Ended<PushResult>[] = [];
      for (const pair of pairs) {
        const one = await tried(context, { ...deps, pushes }, pair, { ...options, report });
        all.push(one);
        signal.throwIfAborted();
        if (one.error !== undefined && input.get(FAIL_FAST)) break;
      }
      return all;
    });
    return ended;
  });
  const failed: ImageFailure[] = [...unread, ...failuresOf(ended)];
  return outcomeOf(failed, list.errors.length + pairs.length);
}

/** What fails does not stop the others. */
async function tried(
  context: PushContext,
  deps: PushDeps,
  pair: Pair,
  options: SentOptions & { readonly report: Report },
): Promise<Ended<PushResult>> {
  const { name } = pair.to;
  const report: Report = (event) => options.report({ ...event, image: name });
  try {
    return { name, result: await pushOne(context, deps, pair, { ...options, report }) };
  } catch (error) {
    report({ type: 'failed', kind: kindOf(error), message: messageOf(error), hint: hintOf(error) });
    return { name, error };
  }
}
