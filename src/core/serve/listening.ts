/** Where a server of the store listens, and what its clients are given. */
import { parseAddress } from '../registry/addresses.ts';

/** An IP address and a port. */
export interface Listening {
  readonly address: string;
  readonly port: number;
}

export const LISTENING: Listening = { address: '127.0.0.1', port: 5000 };
export const MAX_CONNECTIONS = 256;
/** Milliseconds for the headers of a request, and for a client to take 64 KiB. */
export const PATIENCE_WITH_CLIENTS = { headersTimeout: 30_000, stallTimeout: 60_000 } as const;

export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/** Whether only this machine reaches the address: 127.0.0.0/8, in IPv6 too (`::ffff:127.0.0.1`), and ::1. Not so `::` and 0.0.0.0. */
export function isLoopback(address: string): boolean {
  return parseAddress(address)?.range() === 'loopback';
}

/** `http://127.0.0.1:5000`, `https://[::1]:5000`. */
export function serverUrl({ address, port }: Listening, tls: boolean): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${tls ? 'https' : 'http'}://${host}:${port}`;
}
