/** What goes into an archive besides the images: their signatures, and, where the user asks for them, other documents about the images. */
import type { Backend } from '../backend.ts';
import { type PlannedExport, type PlannedReferrer, planReferrers } from '../carry/export-plan.ts';
import { findReferrers, namedAttachments, type Referrer } from '../carry/referrers.ts';
import { HawserError, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';

interface Choice {
  readonly signatures?: boolean | undefined;
  readonly referrers?: boolean | undefined;
  readonly format?: 'oci' | 'docker' | undefined;
  readonly warn: (text: string) => void;
}

interface Carried {
  readonly signatures: readonly PlannedReferrer[];
  readonly others: readonly PlannedReferrer[];
}

/** Of what is here as a whole; `warn` is told of the rest. InvalidArgument for a Docker archive that is to carry other documents. */
export async function carriedReferrers(
  backend: Pick<Backend, 'content' | 'images'>,
  planned: readonly PlannedExport[],
  { referrers = false, signatures = true, format, warn }: Choice,
  call: Call,
): Promise<Carried> {
  if (format === 'docker' && referrers)
    throw new HawserError('InvalidArgument', 'A Docker archive cannot carry what refers to an image', {
      hint: 'Leave --format docker away: an OCI layout carries it',
    });
  if (format === 'docker' || !(referrers || signatures)) return { signatures: [], others: [] };
  const subjects = subjectsOf(planned);
  const damaged = (err: unknown) => warn(leftOutText(err));
  const found = [
    ...(await findReferrers(backend.content, subjects, { signaturesOnly: !referrers, damaged, ...call })),
    ...(await namedAttachments(backend, subjects, { damaged, ...call })),
  ];
  const own = new Set<string>(planned.map(({ target }) => target.digest));
  const once = new Map(found.map((one) => [`${one.subject} ${one.desc.digest}`, one]));
  const rest = [...once.values()].filter(({ desc }) => !own.has(desc.digest));
  const plan = (wanted: readonly Referrer[]) =>
    planReferrers(
      backend.content,
      wanted.map(({ desc }) => desc),
      warn,
      call,
    );
  // The signature of a document that stays here is of no use there.
  const isCarried = ({ subject }: Referrer) => referrers || subjects.has(subject);
  const signing = rest.filter((one) => one.signs === true && isCarried(one));
  return {
    signatures: signatures ? await plan(signing) : [],
    others: referrers ? await plan(rest.filter(({ signs }) => signs !== true)) : [],
  };
}

/** For a document about an image whose bytes are damaged. */
export function leftOutText(err: unknown): string {
  return `Left out a document about the image, which is damaged: ${messageOf(err)}; hawser pull --signatures brings signatures anew`;
}

function subjectsOf(planned: readonly PlannedExport[]): ReadonlySet<PlannedExport['target']['digest']> {
  return new Set(
    planned.flatMap(({ target, source, blobs }) => [
      ...[target.digest, source.digest],
      ...[...blobs.indexes, ...blobs.manifests].map(({ desc }) => desc.digest),
    ]),
  );
}
