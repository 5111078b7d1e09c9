/** `images pull` and `content fetch` of one image or of many. */
import { HawserError, hintOf, kindOf, messageOf, wrap } from '../../core/errors.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import type { Report } from '../../core/progress/events.ts';
import type { ImageFailure } from '../../core/progress/final-event.ts';
import { requireUnmoved } from '../../core/verbs/lock.ts';
import { type Ended, type ManyOptions, transferMany, type Wanted } from '../../core/verbs/many.ts';
import type { FetchOptions, FetchResult, TransferDeps } from '../../core/verbs/options.ts';
import type { DisplayFlag } from '../grammar/flags.ts';
import { FAIL_FAST, LIST_FILE, type ListFlag, LOCKED } from '../grammar/list-flags.ts';
import { REFRESH, type RegistryFlag, USER } from '../grammar/registry-flags.ts';
import type { TransferFlag } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { Display, type DisplayOptions, type ShownResult } from '../render/display.ts';
import { registryFailure } from '../render/json.ts';
import { DONE, type Outcome } from '../views/view.ts';
import { type Context, late, warn, withBackend } from './context.ts';
import { isClosedPipe } from './failure.ts';
import { imagesOf } from './image-lists.ts';
import { withTracing } from './tracing.ts';
import {
  commonOptions,
  displayOptions,
  fetchingOptions,
  paceOf,
  type Shown,
  transfer,
  withRegistry,
} from './transfer.ts';

type Work<R> = (deps: TransferDeps, options: FetchOptions) => Promise<R>;
type ManyContext = Context<TransferFlag | ListFlag>;

/** Runs `work` for the one image of the command line, or for each of many. `missing`: what is said when none is named. */
export async function transferAny<R extends FetchResult>(
  context: ManyContext,
  shown: Shown & { readonly missing: string; readonly jobs?: number | undefined },
  work: Work<R>,
): Promise<Outcome> {
  if (isMany(context, shown.missing)) return await many(context, shown, work);
  await transfer(context, shown, work);
  return DONE;
}

/** Whether more is named than one reference as an argument. A usage error when nothing is. */
export function isMany({ input }: Context<ListFlag>, missing: string): boolean {
  const lists = input.get(LIST_FILE).length;
  if (lists === 0 && (input.args.length === 0 || input.args[0] === ''))
    throw usageError(missing, 'Name an image, or a list of images with -f FILE');
  return lists > 0 || input.args.length > 1 || input.get(LOCKED);
}

async function many<R extends FetchResult>(
  context: ManyContext,
  shown: Shown & { readonly jobs?: number | undefined },
  work: Work<R>,
): Promise<Outcome> {
  const { input } = context;
  const list = await imagesOf(context, input.args, input.get(LIST_FILE));
  for (const message of list.warnings) await warn(context, `warning: ${message}`);
  const { wanted, refused } = wantedOf(context, list.images, commonOptions(context));
  const [first] = wanted;
  const errors = [...list.errors, ...refused];
  const unread = errors.map((err) => failedImage('', err));
  if (first === undefined || (input.get(FAIL_FAST) && unread.length > 0)) return nothing({ errors });
  checkCredentials(context, list.images);
  const asked = wanted.find(({ options }) => options.reference.layout === undefined) ?? first;
  const registryOpts = await fetchingOptions(context, asked.options.reference);
  const common = { ...commonOptions(context), ...paceOf(registryOpts) };
  const one: Work<R> = async (deps, options) => {
    if (input.get(LOCKED)) await requireUnmoved(deps, options.reference, options);
    return await work(deps, options);
  };
  let ended: readonly Ended<R>[] = [];
  await withTracing(context, (trace) =>
    displayedMany(context, shown, unread, async (show) => {
      const report: Report = (event) => {
        show(event);
        trace?.(event);
      };
      const options: ManyOptions = {
        common: { ...common, report },
        jobs: shown.jobs,
        failFast: input.get(FAIL_FAST),
      };
      ended = await withBackend(context, (backend) =>
        withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
          transferMany(deps, wanted, options, one),
        ),
      );
      return ended;
    }),
  );
  return outcomeOf([...unread, ...failuresOf(ended)], errors.length + ended.length);
}

/** Runs `work` under the display, which ends with how the images ended, or the error. */
export async function displayedMany<R extends ShownResult>(
  context: Context<DisplayFlag>,
  shown: Shown & Partial<Pick<DisplayOptions, 'mode'>>,
  unread: readonly ImageFailure[],
  work: (report: Report) => Promise<readonly Ended<R>[]>,
): Promise<void> {
  const display = new Display({ ...displayOptions(context), ...shown });
  let ended: readonly Ended<R>[];
  try {
    ended = await work(display.report);
  } catch (err) {
    await display.fail(err);
    throw err;
  }
  const done = ended.flatMap(({ result }) => (result === undefined ? [] : [result]));
  await display.finishMany(done, [...unread, ...failuresOf(ended)]).catch((err) => {
    if (isClosedPipe(err)) throw err;
    return late(context, 'the work is done, but')(err);
  });
}

export function failuresOf(ended: readonly Ended<FetchResult>[]): ImageFailure[] {
  return ended.flatMap(({ name, error }) => (error === undefined ? [] : [failedImage(name, error)]));
}

export function failedImage(name: string, err: unknown): ImageFailure {
  return {
    ...{ name, kind: kindOf(err), message: messageOf(err), hint: hintOf(err) },
    registry: registryFailure(err),
  };
}

/** Nothing to fetch: the list is empty, or broken. */
export function nothing({ errors }: Pick<ImageList, 'errors'>): Outcome {
  if (errors.length > 0)
    return outcomeOf(
      errors.map((err) => failedImage('', err)),
      errors.length,
    );
  throw new HawserError('InvalidArgument', 'The list names no image', {
    hint: 'A list has one reference a line, or is YAML or JSON in a form that hawser help pull names',
  });
}

/** Each failure as a line, each hint once, and the number as the error of the command. */
export function outcomeOf(failed: readonly ImageFailure[], all: number): Outcome {
  if (failed.length === 0) return DONE;
  const hints = new Set<string>();
  const lines: string[] = [];
  for (const { name, message, hint } of failed) {
    lines.push(`error: ${name === '' ? '' : `${name}: `}${message}`);
    if (hint !== undefined && !hints.has(hint)) lines.push(`hint: ${hint}`);
    if (hint !== undefined) hints.add(hint);
  }
  const error = new HawserError('FailedPrecondition', `${failed.length} of ${all} images failed`);
  return { warnings: lines, failures: [error] };
}

/** A password goes to one registry only. */
export function checkCredentials(
  { input }: Context<RegistryFlag>,
  images: readonly Pick<Listed, 'reference'>[],
): void {
  const asked = images.filter(({ reference }) => reference.layout === undefined);
  const hosts = new Set(asked.map(({ reference }) => reference.host));
  if (hosts.size < 2 || (input.get(USER) === undefined && (input.get(REFRESH) ?? '') === '')) return;
  throw usageError(
    `--user and --refresh are for one registry, and the images are at ${hosts.size}: ${[...hosts].join(', ')}`,
    'Leave the flag away: hawser finds what docker login and podman login store for each',
  );
}

/** The platforms of a flag go before those of the list. `refused`: images whose platforms in the list are none. */
export function wantedOf(
  { platform: machine }: Context,
  images: readonly Listed[],
  { platforms }: Pick<FetchOptions, 'platforms'>,
): { readonly wanted: Wanted[]; readonly refused: HawserError[] } {
  const wanted: Wanted[] = [];
  const refused: HawserError[] = [];
  for (const { reference, platforms: listed, at } of images) {
    try {
      const own = platforms ?? listed?.map((text) => parsePlatform(text, machine));
      wanted.push({ name: reference.name, options: { reference, platforms: own } });
    } catch (err) {
      refused.push(wrap(at, err));
    }
  }
  return { wanted, refused };
}
