/** One question put to the hosts of a namespace, until one has the answer. */
import { findError, HawserError, hintOf, kindOf, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Reference } from '../reference/reference.ts';
import type { HostHealth } from './host-health.ts';
import { type Host, type Hosts, isCapable, type Operation } from './hosts.ts';
import type { Observe } from './observe.ts';
import { printable, safeUrl } from './redact.ts';

export interface HostsDeps {
  readonly clock: Clock;
  readonly hosts: Hosts;
  readonly health: HostHealth;
  readonly observe: Observe;
}

export interface Question<T> {
  readonly operation: Operation;
  /** What is wanted, for people: the reference's name or a digest. */
  readonly object: string;
  /** These are asked after the others: they have failed for this object before. */
  readonly last?: ((host: Host) => boolean) | undefined;
  /** Any error, but the caller's abort, leads to the next host. */
  readonly ask: (host: Host) => Promise<T>;
}

interface Failure {
  readonly host: Host;
  readonly error: unknown;
}

/**
 * Asks the hosts that are capable, the healthy first, else in their order. When none has an answer, the error is that of
 * the last host of the list, the registry itself (a mirror may well lack what it has), and names the others'.
 */
export async function overHosts<T>(
  deps: HostsDeps,
  reference: Reference,
  question: Question<T>,
  call: Call,
): Promise<T> {
  const { health } = deps;
  const { source, hosts } = await deps.hosts(reference, call);
  const capable = hosts.filter((host) => isCapable(host, question.operation, reference));
  if (capable.length === 0) throw noneCapable(reference, question.operation, source);
  tellPassed(deps, hosts, capable, question.operation);
  const failures: Failure[] = [];
  for (const host of inOrder(health.order(capable), question.last)) {
    const began = deps.clock.monotonic();
    try {
      const answer = await question.ask(host);
      tellAttempt(deps, question, host, began);
      return answer;
    } catch (error) {
      call.signal?.throwIfAborted();
      health.note(host, error);
      tellAttempt(deps, question, host, began, error);
      failures.push({ host, error });
    }
  }
  throw conclusion(failures, capable);
}

function inOrder(hosts: readonly Host[], last: (host: Host) => boolean = () => false): readonly Host[] {
  return [...hosts.filter((host) => !last(host)), ...hosts.filter(last)];
}

function conclusion(failures: readonly Failure[], hosts: readonly Host[]): unknown {
  const registry = failures.find(({ host }) => host === hosts.at(-1)) ?? failures.at(-1);
  const others = failures.filter((one) => one !== registry);
  if (others.length === 0) return registry?.error;
  const error = registry?.error;
  const told = others.map(({ host, error }) => `${safeUrl(host.base)}: ${printable(messageOf(error), 300)}`);
  return new HawserError(kindOf(error), `${messageOf(error)} (also tried: ${told.join('; ')})`, {
    hint: hintOf(error),
    cause: error,
    data: findError(error)?.data,
  });
}

function noneCapable({ name }: Reference, operation: Operation, source: string): HawserError {
  const needs = operation === 'resolve' ? 'capabilities pull and resolve' : 'capability pull';
  return new HawserError('FailedPrecondition', `no host for ${name}: none in ${source} has the ${needs}`, {
    hint: `Give one of them the ${needs}, or pull by digest what cannot be resolved by tag`,
  });
}

function tellPassed(
  { health, observe }: HostsDeps,
  hosts: readonly Host[],
  capable: readonly Host[],
  operation: Operation,
): void {
  for (const host of hosts) {
    const demoted = health.demotedFor(host);
    const reason = !capable.includes(host)
      ? `its capabilities are ${host.capabilities.join(', ') || 'none'}`
      : demoted === undefined
        ? undefined
        : `asked after the others: ${demoted} before`;
    if (reason !== undefined) observe({ type: 'passed', operation, url: safeUrl(host.base), reason });
  }
}

function tellAttempt<T>(
  { observe, clock }: HostsDeps,
  { operation, object }: Question<T>,
  host: Host,
  began: number,
  error?: unknown,
): void {
  const told = { type: 'attempt', operation, object, url: safeUrl(host.base) } as const;
  const milliseconds = clock.monotonic() - began;
  if (error === undefined) {
    observe({ ...told, milliseconds });
    return;
  }
  const { status, code } = findError(error)?.data ?? {};
  observe({
    ...told,
    milliseconds,
    reason: printable(messageOf(error), 1000),
    ...(typeof status === 'number' ? { status } : {}),
    ...(typeof code === 'string' ? { code } : {}),
  });
}
