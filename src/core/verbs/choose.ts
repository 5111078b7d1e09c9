/** Which manifests of an image are unpacked, and under which platform's name. Pull and plan share this rule. */
import { HawserError } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { mayBeImageConfig } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { FetchOptions } from './options.ts';

/** The platform of BuildKit's attestations. */
const NO_PLATFORM = 'unknown/unknown';

export class UnpackChoice {
  readonly #options: FetchOptions;
  readonly #hostPlatform: Platform;
  readonly #root: Descriptor;
  readonly #taken = new Set<string>();

  constructor(options: FetchOptions, hostPlatform: Platform, root: Descriptor) {
    this.#options = options;
    this.#hostPlatform = hostPlatform;
    this.#root = root;
  }

  /** The config of a manifest. Undefined for an artifact that an index lists; FailedPrecondition when the artifact is the root. */
  config(manifest: Descriptor, children: readonly Descriptor[]): Descriptor | undefined {
    const config = children[0];
    if (config !== undefined && mayBeImageConfig(config.mediaType)) return config;
    if (manifest.digest !== this.#root.digest) return undefined;
    throw new HawserError(
      'FailedPrecondition',
      `Cannot unpack ${manifest.digest}: it is an artifact, not an image (its config is ${config?.mediaType ?? 'absent'})`,
      { hint: 'Fetch it without unpacking: hawser content fetch REF' },
    );
  }

  /**
   * The name to unpack a manifest under; undefined when another is unpacked under that name. `wanted`: the platform that the
   * manifest was chosen for; undefined for a root, whose config's platform decides.
   */
  take(wanted: string | undefined, configPlatform: Platform | undefined): string | undefined {
    const name = wanted ?? this.#nameOf(configPlatform);
    if (name === undefined || name === NO_PLATFORM || this.#taken.has(name)) return undefined;
    this.#taken.add(name);
    return name;
  }

  #nameOf(platform: Platform | undefined): string | undefined {
    const host = this.#hostPlatform;
    if (platform === undefined) return formatPlatform(host);
    const wanted = this.#options.platforms;
    if (wanted === 'all') return formatPlatform(platform);
    const match = (wanted ?? [host]).find((one) => only(one).match(platform));
    if (match !== undefined) return formatPlatform(match);
    if (wanted !== undefined) throw this.#noMatch(formatPlatform(platform));
    const message = `The image is for ${formatPlatform(platform)}, this machine is ${formatPlatform(host)}`;
    this.#options.report?.({ type: 'warning', message });
    return formatPlatform(platform);
  }

  /** NotFound when nothing was taken for a wanted platform. */
  check(): void {
    const { platforms } = this.#options;
    const missing =
      platforms === 'all' || platforms === undefined
        ? this.#taken.size === 0
        : platforms.some((platform) => !this.#taken.has(formatPlatform(platform)));
    if (missing) throw this.#noMatch('');
  }

  #noMatch(available: string): HawserError {
    const { reference, platforms } = this.#options;
    const wanted = platforms === 'all' || platforms === undefined ? [this.#hostPlatform] : platforms;
    const names = wanted.map(formatPlatform).join(', ');
    return new HawserError('NotFound', `Cannot pull "${reference.raw}": no match for platform ${names}`, {
      hint: available === '' ? 'Nothing in the image can be unpacked for it' : `The image has: ${available}`,
    });
  }
}
