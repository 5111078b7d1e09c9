/** Which manifests of an image are unpacked, and under which platform's name. Pull and plan share this rule. */
import { HawserError } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { FetchOptions } from './options.ts';

/** The platform of BuildKit's attestations. */
const NO_PLATFORM = 'unknown/unknown';
const FETCHABLE = 'Fetch it without unpacking: hawser content fetch REF';

export class UnpackChoice {
  readonly #options: FetchOptions;
  readonly #hostPlatform: Platform;
  readonly #root: Descriptor;
  /** The platforms that something was taken for. */
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
      { hint: FETCHABLE },
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
    const wanted = this.#options.platforms;
    // Of an image that does not tell, what is asked for is taken to be right.
    if (platform === undefined) return platformText((wanted === 'all' ? undefined : wanted?.[0]) ?? host);
    if (wanted === 'all') return platformText(platform);
    const match = (wanted ?? [host]).find((one) => only(one).match(platform));
    if (match !== undefined) return platformText(match);
    if (wanted !== undefined) throw this.#noMatch(platformText(platform));
    const message = `The image is for ${platformText(platform)}, this machine is ${platformText(host)}`;
    this.#options.report?.({ type: 'warning', message });
    return platformText(platform);
  }

  /** FailedPrecondition for a root that is neither manifest nor index. */
  checkRoot(): void {
    const { mediaType, digest } = this.#root;
    if (isIndexType(mediaType) || isManifestType(mediaType)) return;
    const why = `it is an artifact, not an image (${mediaType})`;
    throw new HawserError('FailedPrecondition', `Cannot unpack ${digest}: ${why}`, { hint: FETCHABLE });
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
    return new HawserError(
      'NotFound',
      `Cannot choose from "${reference.raw}": no match for platform ${names}`,
      {
        hint:
          available === ''
            ? `Nothing in it can be unpacked for that platform. ${FETCHABLE}`
            : `The image has: ${available}`,
      },
    );
  }
}
