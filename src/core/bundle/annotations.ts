/** Annotations of a runtime bundle (image-spec conversion.md and annotations.md). */
import type { ImageConfig } from '../oci/documents.ts';

const PREFIX = 'org.opencontainers.image.';

/**
 * Labels that describe an image and that no runtime acts upon: those of the image-spec, and those that were usual before. All
 * others stay out: runtimes take annotations for orders (devices, hooks, properties of a systemd unit, hypervisors), under
 * ever more names, and an image must not steer its own runtime.
 */
const DESCRIBING: readonly RegExp[] = [
  /^org\.opencontainers\.image\.(?:created|authors?|url|documentation|source|version|revision|vendor|licenses|title|description)$/,
  /^org\.opencontainers\.image\.(?:ref\.name|base\.(?:digest|name)|architecture|variant|os|os\.(?:version|features))$/,
  /^org\.opencontainers\.image\.(?:stopSignal|exposedPorts)$/,
  /^org\.label-schema\.[a-z0-9.-]+$/,
  /^maintainer$/,
];
const SHOWN = 5;
const SHOWN_LENGTH = 64;

/** A label that is taken over goes before what the config implies. Labels that are not are counted in one warning. */
export function annotations(image: ImageConfig, warnings: string[]): Record<string, string> {
  const { platform, author, created } = image;
  const { StopSignal, ExposedPorts, Labels = {} } = image.config;
  const implied: Readonly<Record<string, string | undefined>> = {
    os: platform?.os,
    architecture: platform?.architecture,
    variant: platform?.variant,
    'os.version': platform?.osVersion,
    'os.features': platform?.osFeatures?.join(','),
    author,
    created,
    stopSignal: StopSignal,
    exposedPorts: ExposedPorts?.join(','),
  };
  const all: [string, string][] = [];
  for (const [key, value] of Object.entries(implied)) {
    if (value !== undefined && value !== '') all.push([`${PREFIX}${key}`, value]);
  }
  const leftOut: string[] = [];
  for (const [key, value] of Object.entries(Labels)) {
    if (DESCRIBING.some((known) => known.test(key))) all.push([key, value]);
    else leftOut.push(key);
  }
  if (leftOut.length > 0) warnings.push(warningOf(leftOut));
  return Object.fromEntries(all);
}

function warningOf(keys: readonly string[]): string {
  const shown = keys.slice(0, SHOWN).map((key) => JSON.stringify(key.slice(0, SHOWN_LENGTH)));
  const more = keys.length > SHOWN ? ` and ${keys.length - SHOWN} more` : '';
  const what = keys.length === 1 ? 'the label' : `${keys.length} labels:`;
  return `Left out ${what} ${shown.join(', ')}${more}: runtimes may take annotations for orders`;
}
