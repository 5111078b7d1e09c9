/** `--trace` and `--report`: files that show where a transfer's time went. */
import { absolutePath } from '../../core/absolute-path.ts';
import { cleaningUp } from '../../core/async/cleanup.ts';
import { addNote, isKind, messageOf, wrap } from '../../core/errors.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import { chromeTrace } from '../../core/progress/chrome-trace.ts';
import type { Report } from '../../core/progress/events.ts';
import type { Trace } from '../../core/progress/trace.ts';
import { Tracer } from '../../core/progress/tracer.ts';
import { REPORT, TRACE } from '../grammar/transfer-flags.ts';
import { reportPage } from '../render/report.ts';
import { redact } from '../render/text.ts';
import { VERSION } from '../version.ts';
import { type Context, late } from './context.ts';
import { requireOutsideStore } from './keep-out.ts';

type TracingFlag = 'trace' | 'report';

interface TraceFile {
  readonly flag: TracingFlag;
  readonly path: string;
  readonly file: FileHandle;
  render(trace: Trace): string;
}

/**
 * Runs `work` and writes the wanted files, after a failure too. Opens the files first, so that a path that cannot be
 * written fails before any work; later failures are warnings. Without the flags no event is kept.
 */
export async function withTracing(
  context: Context<TracingFlag>,
  work: (report: Report | undefined) => Promise<void>,
): Promise<void> {
  const targets = await openTargets(context);
  const tracer = targets.length > 0 ? new Tracer(context.runtime.clock) : undefined;
  const write = async (failure?: string) => {
    const trace = tracer?.finish(failure);
    if (trace === undefined) return;
    for (const target of targets) await writeTo(target, trace);
  };
  const close = () => closeAll(targets);
  await cleaningUp(
    async () => {
      try {
        await work(tracer?.report);
      } catch (err) {
        await write(redact(messageOf(err))).catch((failure) => addNote(err, messageOf(failure)));
        throw err;
      }
      await write().catch(late(context, 'the transfer is done, but'));
    },
    close,
    late(context, 'the transfer is done, but'),
  );
}

async function closeAll(targets: readonly TraceFile[]): Promise<void> {
  const closed = await Promise.allSettled(targets.map(({ file }) => file.close()));
  for (const one of closed) if (one.status === 'rejected') throw one.reason;
}

async function openTargets(context: Context<TracingFlag>): Promise<TraceFile[]> {
  const machine = machineOf(context);
  const wanted = [
    { flag: TRACE, render: chromeTrace },
    { flag: REPORT, render: (trace: Trace) => reportPage(trace, machine) },
  ];
  const targets: TraceFile[] = [];
  try {
    for (const { flag, render } of wanted) {
      const path = context.input.get(flag);
      if (path === undefined) continue;
      targets.push({ flag: flag.name, path, render, file: await open(context, flag.name, path) });
    }
    return targets;
  } catch (err) {
    await closeAll(targets).catch((failure) => addNote(err, messageOf(failure)));
    throw err;
  }
}

async function open(context: Context, flag: string, path: string): Promise<FileHandle> {
  const file = absolutePath(path, context.runtime.host);
  await requireOutsideStore(context, file);
  try {
    return await context.runtime.fs.open(file, 'write', 0o644, {
      signal: context.signal,
    });
  } catch (err) {
    if (isKind(err, 'Canceled')) throw err;
    throw wrap(`Cannot write the ${flag} to "${path}"`, err, 'Name a file in a directory that exists');
  }
}

async function writeTo({ flag, path, file, render }: TraceFile, trace: Trace): Promise<void> {
  try {
    await file.truncate(0);
    await file.write(new TextEncoder().encode(render(trace)), 0);
  } catch (err) {
    throw wrap(`Cannot write the ${flag} to "${path}"`, err);
  }
}

function machineOf({ runtime: { host } }: Context): string {
  return `hawser ${VERSION}, ${host.runtime} ${host.runtimeVersion}, ${host.os}/${host.arch}, ${host.cpus} cores`;
}
