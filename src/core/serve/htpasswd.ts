/** Users of a file as `htpasswd -B` writes it (`name:$2y$...`), and the check of a request's credentials. */
import { Limiter } from '../async/limiter.ts';
import { HawserError } from '../errors.ts';
import type { Hashers } from '../ports/hashers.ts';

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** Each step doubles the time of a check; 14 takes about a second. */
const MAX_COST = 14;
const MAX_USERS = 10_000;
/** Checks that may wait; more are refused with 429. */
const MAX_WAITING = 64;
/** Passwords remembered as right. */
const MAX_KNOWN = 1000;

/** Compared for a name that is not there, so that the answer takes as long. The hash of nothing that anybody knows. */
const NOBODY = '$2y$10$7EqJtq98hPqEX7fNZaFWoOhi5B0a1Y1lB0m9bJ1vCq0o1l1qXl9xK';

/** Names to hashes. InvalidArgument for a line in another form, with its number. */
export function parseUsers(text: string, source: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const hash = line.slice(colon + 1).trim();
    const cost = Number(BCRYPT.exec(hash)?.[1]);
    if (colon < 1 || !(cost <= MAX_COST) || users.size >= MAX_USERS) {
      throw new HawserError(
        'InvalidArgument',
        `${source}:${index + 1}: this is no user with a bcrypt hash of cost ${MAX_COST} or less`,
        { hint: 'htpasswd -B -C 10 FILE NAME adds a user' },
      );
    }
    users.set(line.slice(0, colon), hash);
  }
  if (users.size > 0) return users;
  throw new HawserError('InvalidArgument', `${source} has no user`, {
    hint: 'htpasswd -B -C 10 FILE NAME adds one',
  });
}

export type Verdict = 'known' | 'unknown' | 'busy';

/** Checks one password at a time: a check takes a processor for as long as its cost says. */
export class BasicAuth {
  readonly #users: ReadonlyMap<string, string>;
  readonly #hashers: Hashers;
  readonly #known = new Set<string>();
  readonly #turn = new Limiter(1);
  #waiting = 0;

  constructor(users: ReadonlyMap<string, string>, hashers: Hashers) {
    this.#users = users;
    this.#hashers = hashers;
  }

  /** `header`: the value of Authorization. */
  async check(header: string | null, signal: AbortSignal): Promise<Verdict> {
    const given = credentialsOf(header);
    if (given === undefined) return 'unknown';
    const [name, password] = given;
    const key = this.#keyOf(name, password);
    if (this.#known.has(key)) return 'known';
    if (this.#waiting >= MAX_WAITING) return 'busy';
    this.#waiting++;
    try {
      return (await this.#turn.run(signal, () => this.#compare(name, password, key))) ? 'known' : 'unknown';
    } finally {
      this.#waiting--;
    }
  }

  async #compare(name: string, password: string, key: string): Promise<boolean> {
    const { compare } = await import('bcryptjs');
    const hash = this.#users.get(name);
    const fits = (await compare(password, hash ?? NOBODY)) && hash !== undefined;
    if (fits && this.#known.size < MAX_KNOWN) this.#known.add(key);
    return fits;
  }

  #keyOf(name: string, password: string): string {
    const hasher = this.#hashers.create('sha256');
    hasher.update(new TextEncoder().encode(`${name}\0${password}`));
    return hasher.digest();
  }
}

/** RFC 7617. */
function credentialsOf(header: string | null): readonly [name: string, password: string] | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]{1,4096})$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const colon = text.indexOf(':');
    return colon < 0 ? undefined : [text.slice(0, colon), text.slice(colon + 1)];
  } catch {
    return undefined;
  }
}
