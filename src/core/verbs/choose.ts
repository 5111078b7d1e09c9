/** Which manifests of an image are unpacked, and under which platform's name. Pull and plan share this rule. */
import { HawserError } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { mayBeImageConfig } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { FetchOptions } from './options.ts';

/** The platform of BuildKit's attestations. */
const NO_PLATFORM = 'unknown/unknown';

export class UnpackChoice {
  readonly #options: FetchOptions;
  readonly #hostPlatform: Platform;
  readonly #root: Descriptor;
  /** The platforms that something was taken for. */
  readonly #taken = new Set<string>();
  /** An index lists an artifact for a wanted platform. */
  #artifacts = false;

  constructor(options: FetchOptions, hostPlatform: Platform, root: Descriptor) {
    this.#options = options;
    this.#hostPlatform = hostPlatform;
    this.#root = root;
  }

  /** The config of a manifest. Undefined for an artifact that an index lists; FailedPrecondition when the artifact is the root. */
  config(manifest: Descriptor, children: readonly Descriptor[]): Descriptor | undefined {
    const config = children[0];
    if (config !== undefined && mayBeImageConfig(config.mediaType)) return config;
    if (manifest.digest !== this.#root.digest) {
      this.#artifacts = true;
      return undefined;
    }
    throw new HawserError(
      'FailedPrecondition',
      `Cannot unpack ${manifest.digest}: it is an artifact, not an image (its config is ${config?.mediaType ?? 'absent'})`,
      { hint: 'Fetch it without unpacking: hawser content fetch REF' },
    );
  }

  /**
   * The name to unpack a manifest under: its own where the user named no platform. Undefined when another is unpacked for the same
   * platform. `wanted`: the platform that the manifest was chosen for; undefined for a root, whose config's platform decides.
   */
  take(
    manifest: Descriptor,
    wanted: string | undefined,
    configPlatform: Platform | undefined,
  ): string | undefined {
    const name = wanted ?? this.#nameOf(configPlatform);
    if (name === NO_PLATFORM || this.#taken.has(name)) return undefined;
    this.#taken.add(name);
    const own = manifest.platform ?? configPlatform;
    return this.#options.platforms === undefined && own !== undefined ? platformText(own) : name;
  }

  #nameOf(platform: Platform | undefined): string {
    const host = this.#hostPlatform;
    if (platform === undefined) return platformText(host);
    const wanted = this.#options.platforms;
    if (wanted === 'all') return platformText(platform);
    const match = (wanted ?? [host]).find((one) => only(one).match(platform));
    if (match !== undefined) return platformText(match);
    if (wanted !== undefined) throw this.#noMatch(platformText(platform));
    const message = `The image is for ${platformText(platform)}, this machine is ${platformText(host)}`;
    this.#options.report?.({ type: 'warning', message });
    return platformText(platform);
  }

  /** NotFound when nothing was taken for a wanted platform. */
  check(): void {
    const { platforms } = this.#options;
    const missing =
      platforms === 'all' || platforms === undefined
        ? this.#taken.size === 0
        : platforms.some((platform) => !this.#taken.has(platformText(platform)));
    if (missing) throw this.#noMatch('');
  }

  #noMatch(available: string): HawserError {
    const { reference, platforms } = this.#options;
    const wanted = platforms === 'all' || platforms === undefined ? [this.#hostPlatform] : platforms;
    const names = wanted.map(platformText).join(', ');
    const nothing = this.#artifacts
      ? 'The index has only artifacts for it. Fetch them without unpacking: hawser content fetch REF'
      : 'Nothing in the image can be unpacked for it';
    return new HawserError('NotFound', `Cannot pull "${reference.raw}": no match for platform ${names}`, {
      hint: available === '' ? nothing : `The image has: ${available}`,
    });
  }
}
