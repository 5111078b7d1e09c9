/** Machines on one network: network namespaces on a bridge, each with an address and a limit of what it sends a second. */
import { execFileSync } from 'node:child_process';

export interface Machine {
  readonly name: string;
  readonly address: string;
  /** The words before a command that is to run there. */
  readonly prefix: readonly string[];
  /** Bytes that the machine has sent so far, headers of packets included. */
  sent(): number;
}

export interface Network extends Disposable {
  readonly machines: ReadonlyMap<string, Machine>;
}

/** `rates`: names of machines to the megabits a second that each sends at most. Needs root and iproute2. */
export function makeNetwork(rates: Readonly<Record<string, number>>): Network {
  const hub = `hawser-${process.pid}-hub`;
  const made: string[] = [];
  const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const add = (name: string): void => {
    ip('netns', 'add', name);
    made.push(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  };
  const remove = (): void => {
    for (const name of made.splice(0)) ip('netns', 'del', name);
  };
  const machine = (name: string, rate: number, at: number): Machine => {
    const own = `hawser-${process.pid}-${at}`;
    const address = `10.123.0.${at + 1}`;
    add(own);
    ip('-n', own, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `port${at}`, 'netns', hub);
    ip('-n', hub, 'link', 'set', `port${at}`, 'master', 'bridge', 'up');
    ip('-n', own, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', own, 'link', 'set', 'eth0', 'up');
    const limit = ['rate', `${rate}mbit`, 'burst', '256k', 'latency', '200ms'];
    execFileSync('tc', ['-n', own, 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...limit]);
    const prefix = ['ip', 'netns', 'exec', own];
    const count = '/sys/class/net/eth0/statistics/tx_bytes';
    return { name, address, prefix, sent: () => Number(ip(...prefix.slice(1), 'cat', count)) };
  };
  try {
    add(hub);
    ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', hub, 'link', 'set', 'bridge', 'up');
    const machines = Object.entries(rates).map(([name, rate], at) => machine(name, rate, at));
    return { machines: new Map(machines.map((one) => [one.name, one])), [Symbol.dispose]: remove };
  } catch (err) {
    remove();
    throw err;
  }
}
