/** A process that shows what its host does: `host-probe.ts <what>`. Answers are lines of JSON on standard output. */
import process from 'node:process';
import { kindOf, messageOf } from '../../src/core/errors.ts';
import type { HostSystem } from '../../src/core/ports/host.ts';
import { runtimeParts } from '../../src/entry/parts.ts';
import { createProcessHost } from '../../src/platform/process/process-host.ts';

const host: HostSystem = createProcessHost(await runtimeParts());
const say = (value: unknown) => host.stdout.write(`${JSON.stringify(value)}\n`);

const probes: Record<string, () => Promise<void>> = {
  async info() {
    const { stdout, stderr, args, env: _env, ...rest } = host;
    await say({ ...rest, args, out: stdout.isTerminal, columns: stdout.columns(), err: stderr.isTerminal });
    await say({ set: host.env('HAWSER_PROBE'), unset: host.env('HAWSER_PROBE_UNSET') });
  },
  async cwd() {
    await say(host.cwd());
  },
  async lines() {
    for (;;) await say(await host.readLine());
  },
  async bytes() {
    await say(await host.readLine());
    let [count, last] = [0, 0];
    for (let bytes = await host.readBytes(); bytes !== undefined; bytes = await host.readBytes()) {
      count += bytes.length;
      last = bytes.at(-1) ?? 0;
    }
    await say({ count, last, after: (await host.readBytes()) === undefined });
  },
  async 'bytes-abort'() {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('time is up')), 200);
    await say(await host.readBytes({ signal: stop.signal }).catch(messageOf));
  },
  async silent() {
    // The prompt comes after the terminal was silenced, so that whoever waits for it is not echoed.
    const line = host.readLine({ silent: true });
    await host.stderr.write('Password: ');
    await say(await line);
    await say(await host.readLine());
  },
  async 'silent-abort'() {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('time is up')), 200);
    await say(await host.readLine({ silent: true, signal: stop.signal }).catch(messageOf));
  },
  async interrupt() {
    const seen: string[] = [];
    const first = host.onInterrupt((name) => seen.push(name));
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.kill(process.pid, name);
      for (const before = seen.length; seen.length === before; ) await new Promise((r) => setTimeout(r, 1));
    }
    await say(seen);
    first[Symbol.dispose]();
    process.kill(process.pid, 'SIGTERM');
    await new Promise((r) => setTimeout(r, 5000));
    await say('still here');
  },
  async flood() {
    for (let i = 0; i < 10_000; i++) await host.stdout.write('x'.repeat(10_000));
  },
  async order() {
    await Promise.all(Array.from({ length: 2000 }, (_, i) => host.stdout.write(`${i}\n`)));
    await host.stdout.write(Uint8Array.of(0x65, 0x6e, 0x64, 0xff));
  },
};

async function run(): Promise<void> {
  try {
    await probes[host.args[0] ?? '']?.();
  } catch (err) {
    await host.stderr.write(`${kindOf(err)}: ${messageOf(err)}\n`);
    process.exitCode = 3;
  }
}

run();
