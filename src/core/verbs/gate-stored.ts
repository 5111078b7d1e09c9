import { storeEvidence } from '../carry/store-evidence.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Evidence } from '../trust/evidence.ts';
import type { Acceptance, Subject } from '../trust/verdict.ts';
import { type GateOptions, passGate } from './gate.ts';
import type { StoreDeps } from './options.ts';

/**
 * As `passGate`, for an image of the store: by the signatures that the store has, and where these do not let the image in, by those at its
 * registry. `registry`: undefined where no registry may be asked.
 */
export async function passStoredGate(
  { backend }: Pick<StoreDeps, 'backend'>,
  gate: GateOptions,
  subject: Omit<Subject, 'evidence'>,
  call: Call & { readonly report?: Report | undefined; readonly registry: Evidence | undefined },
): Promise<readonly Acceptance[]> {
  const { registry, ...own } = call;
  try {
    const evidence = storeEvidence(backend)(subject.reference);
    return await passGate({ backend }, gate, { ...subject, evidence }, own);
  } catch (err) {
    call.signal?.throwIfAborted();
    if (registry === undefined) throw err;
  }
  return await passGate({ backend }, gate, { ...subject, evidence: registry }, own);
}
