/** One question put to the hosts of a namespace, until one has the answer. */
import { findError, HawserError, hintOf, kindOf, messageOf, type Reason } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Reference } from '../reference/reference.ts';
import { advised, type Failure, type Told } from './advice.ts';
import { codeOf, isRetryable, statusOf } from './failures.ts';
import type { HostHealth } from './host-health.ts';
import { type Host, type Hosts, isCapable, isList, type Operation } from './hosts.ts';
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
  /** For people: the reference's name or a digest. */
  readonly object: string;
  /** Hosts to ask after the others: they have failed for this object before. */
  readonly last?: ((host: Host) => boolean) | undefined;
  /** Any error, but the caller's abort, leads to the next host. `isLast`: no host follows. */
  readonly ask: (host: Host, isLast: boolean) => Promise<T>;
}

/**
 * Asks the capable hosts, the healthy first, else in their order. When none has an answer, the heaviest error is thrown
 * (`weightOf`): of equals one that may pass, else the error of the registry itself, which is the last host of the list. The
 * message names the other errors.
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
  const order = inOrder(health.order(capable), question.last);
  for (const host of order) {
    const began = deps.clock.monotonic();
    try {
      const answer = await question.ask(host, host === order.at(-1));
      tellAttempt(deps, question, host, began);
      return answer;
    } catch (error) {
      call.signal?.throwIfAborted();
      health.note(host, error);
      tellAttempt(deps, question, host, began, error);
      failures.push({ host, error });
    }
  }
  throw conclusion(failures, capable, { reference, source });
}

/** The host that takes what is pushed: the first that may (as containerd), and no other if that one fails. FailedPrecondition: none may. */
export async function pushHost(
  deps: Omit<HostsDeps, 'clock'>,
  reference: Reference,
  call: Call,
): Promise<Host> {
  const { source, hosts } = await deps.hosts(reference, call);
  const host = hosts.find((one) => isCapable(one, 'push', reference));
  if (host === undefined) throw noneCapable(reference, 'push', source);
  tellPassed(deps, hosts.slice(0, hosts.indexOf(host)), [], 'push');
  return host;
}

function inOrder(hosts: readonly Host[], last: (host: Host) => boolean = () => false): readonly Host[] {
  return [...hosts.filter((host) => !last(host)), ...hosts.filter(last)];
}

function conclusion(
  failures: readonly Failure[],
  hosts: readonly Host[],
  asked: Omit<Told, 'others'>,
): unknown {
  const registry = hosts.at(-1);
  const ranked = failures.map((one) => ({ ...one, weight: weightOf(one, registry) }));
  const most = Math.max(...ranked.map(({ weight }) => weight));
  const heaviest = ranked.filter(({ weight }) => weight === most);
  const passing = heaviest.filter(({ error }) => isRetryable(error));
  const candidates = passing.length > 0 ? passing : heaviest;
  const main = candidates.find(({ host }) => host === registry) ?? candidates[0];
  const others = ranked.filter((one) => one !== main);
  const absent = others.some(({ weight }) => weight === REGISTRY_LACKS_IT);
  const error = advised(main?.error, { ...asked, others });
  if (others.length === 0) return error;
  const told = others.map(({ host, error }) => `${safeUrl(host.base)}: ${printable(messageOf(error), 300)}`);
  return new HawserError(kindOf(error), `${messageOf(error)} (also tried: ${told.join('; ')})`, {
    hint: hintOf(error),
    cause: error,
    reason: absent ? withAbsence(findError(error)?.reason) : findError(error)?.reason,
  });
}

function withAbsence(reason: Reason | undefined): Reason | undefined {
  return reason?.type === 'status' || reason?.type === 'exchange' ? { ...reason, absent: true } : reason;
}

const REGISTRY_LACKS_IT = 2;

/**
 * containerd's order: an answer that was refused, for its size or as damage (4), a status (3), absence (2), no answer at all (1).
 * So a registry that never had the content does not hide that a mirror is overloaded or denies access. Unlike containerd's, a
 * mirror's 404 weighs least (0): mirrors lack much, and that must not hide that the registry could not be reached.
 */
function weightOf({ host, error }: Failure, registry: Host | undefined): number {
  const kind = kindOf(error);
  if (kind === 'NotFound') return host === registry ? REGISTRY_LACKS_IT : 0;
  if (kind === 'ResourceExhausted' || kind === 'DataLoss') return 4;
  return statusOf(error) === undefined ? 1 : 3;
}

const NEEDS: Readonly<Record<Operation, string>> = {
  fetch: 'capability pull',
  resolve: 'capabilities pull and resolve',
  tags: 'capabilities pull and resolve and is no mirror',
  catalog: 'capabilities pull and resolve and is no mirror',
  referrers: 'capabilities pull and referrers',
  push: 'capability push',
};

function noneCapable({ name }: Reference, operation: Operation, source: string): HawserError {
  const needs = NEEDS[operation];
  const pulls = operation === 'resolve' || operation === 'fetch';
  const instead = pulls ? ', or pull by digest what cannot be resolved by tag' : '';
  const list = operation === 'tags' ? 'tags' : 'repositories';
  const hint = isList(operation)
    ? `The ${list} are asked of the registry itself, which the file has to name as its server with these capabilities`
    : `Give one of them the ${needs}${instead}`;
  return new HawserError('FailedPrecondition', `no host for ${name}: none in ${source} has the ${needs}`, {
    hint,
  });
}

function tellPassed(
  { health, observe }: Pick<HostsDeps, 'health' | 'observe'>,
  hosts: readonly Host[],
  capable: readonly Host[],
  operation: Operation,
): void {
  for (const host of hosts) {
    const demoted = health.demotedFor(host);
    const reason = !capable.includes(host)
      ? whyPassed(host, operation)
      : demoted === undefined
        ? undefined
        : `asked after the others: ${demoted} before`;
    if (reason !== undefined) observe({ type: 'passed', operation, url: safeUrl(host.base), reason });
  }
}

function whyPassed({ capabilities, namespace }: Host, operation: Operation): string {
  if (isList(operation) && namespace !== undefined) return 'a mirror lists only what the mirror has';
  return `its capabilities are ${capabilities.join(', ') || 'none'}`;
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
  const [status, code] = [statusOf(error), codeOf(error)];
  observe({
    ...told,
    milliseconds,
    reason: printable(messageOf(error), 1000),
    ...(status !== undefined ? { status } : {}),
    ...(code !== undefined ? { code } : {}),
  });
}
