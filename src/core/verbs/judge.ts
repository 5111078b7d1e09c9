/** The verb `verify`: whether an image may come in, asked without bringing anything of the image. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { Acceptance, Subject } from '../trust/verdict.ts';
import { type GateOptions, passGate } from './gate.ts';

export interface JudgeOptions extends GateOptions, Call {
  readonly reference: Reference;
  /** What the reference names, where the caller has resolved it. Not given: the registry is asked. */
  readonly root?: Descriptor | undefined;
  /** Of an index that is not signed itself: those whose manifests must be. */
  readonly platforms: Subject['platforms'];
  /** Gets what the judges want the user to know. */
  readonly report?: Report | undefined;
}

/** An image that may come in. */
export interface Judged {
  readonly name: string;
  readonly target: Descriptor;
  /** Empty: nobody asks for a proof of this image. */
  readonly verified: readonly Acceptance[];
}

/** PermissionDenied when somebody refuses the image; the error of who cannot decide. */
export async function judgeImage(
  registry: Registry,
  { reference, root, platforms, report, signal, ...gate }: JudgeOptions,
): Promise<Judged> {
  const { mediaType, digest, size } = root ?? (await registry.resolve(reference, { signal })).root;
  const target = { mediaType, digest, size };
  const evidence = registry.evidence(reference);
  const subject: Subject = { reference, root: target, platforms, evidence };
  const verified = await passGate({ backend: {} }, gate, subject, { report, signal });
  return { name: reference.name, target, verified };
}
