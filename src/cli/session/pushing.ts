/** Shared by `images push` and `copy`: flags become options, and names become targets. */
import { HawserError } from '../../core/errors.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { SendOptions } from '../../core/verbs/push.ts';
import type { CargoOptions } from '../../core/verbs/push-cargo.ts';
import {
  ALLOW_FOREIGN,
  CHUNK_SIZE,
  MAX_CONCURRENT_UPLOADS,
  PUSHED_INDEX,
  PUSHED_REFERRERS,
  type PushFlag,
} from '../grammar/push-flags.ts';
import { ALL_PLATFORMS } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import type { Context } from './context.ts';
import { networkOptions } from './network-options.ts';
import { platformsOf } from './transfer.ts';

export type SentOptions = CargoOptions &
  SendOptions & { readonly referrers: boolean; readonly signal: AbortSignal };

/** What the flags say of every image. */
export function sentOptions(context: Context<PushFlag>): SentOptions {
  const { input, signal } = context;
  const platforms = platformsOf(context);
  const all = input.get(ALL_PLATFORMS);
  if (all && platforms !== undefined) throw usageError('cannot specify both --platform and --all-platforms');
  return {
    platforms: all ? 'all' : platforms,
    index: input.get(PUSHED_INDEX),
    referrers: input.get(PUSHED_REFERRERS),
    foreign: input.get(ALLOW_FOREIGN),
    chunkSize: input.get(CHUNK_SIZE),
    maxConcurrentUploads: input.get(MAX_CONCURRENT_UPLOADS),
    retry: networkOptions(input).retry,
    signal,
  };
}

/** The name below HOST[/PATH] that takes the place of the image's host. InvalidArgument for what is no such place. */
export function below(place: string, { repository, tag, digest }: Reference): Reference {
  const name = [
    `${place.replace(/\/+$/, '')}/${repository}`,
    ...(tag === undefined ? [] : [`:${tag}`]),
    ...(digest === undefined ? [] : [`@${digest}`]),
  ].join('');
  const target = parseReference(name);
  if (place.split('/')[0] === target.host) return target;
  throw new HawserError('InvalidArgument', `Cannot push below "${place}": it begins with no registry`, {
    hint: 'A registry has a dot or a port in its name, or is localhost: --to registry.example/mirror',
  });
}

/** A usage error where two images would have one name. */
export function requireDistinct(pairs: readonly { readonly local: string; readonly to: Reference }[]): void {
  const by = new Map<string, string>();
  for (const { local, to } of pairs) {
    const other = by.get(to.name);
    if (other !== undefined && other !== local)
      throw usageError(`${other} and ${local} would both be pushed as ${to.name}`);
    by.set(to.name, local);
  }
}
