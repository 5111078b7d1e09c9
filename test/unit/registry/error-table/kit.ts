/** The form of a row of the table of errors, and where in the source an error was made. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { findError, type HawserError } from '../../../../src/core/errors.ts';

/** The hint of an answer with a status of 500 or more. */
export const FAILS: RegExp =
  /^The server has failed: try again later; when that goes on, whoever runs it can tell why/;

export interface Row {
  /** In the message. */
  readonly says: RegExp;
  /** Of the hint; undefined: there is none. */
  readonly hint?: RegExp | undefined;
  readonly fail: () => unknown;
}

const SRC = join(import.meta.dirname, '../../../../src');

/** The rooms whose errors are all in the table. */
export const ROOMS: readonly string[] = ['core/registry', 'core/download', 'core/push', 'platform/http'];

/** An error is made or thrown here; what is only thrown on (`throw err;`) is not made here. */
const SITE = /new HawserError\(|(?<!\w)wrap\(|\bthrow (?:await )?[\w.#]+\(/;

export interface Site {
  /** `core/registry/flow.ts:68`. */
  readonly at: string;
  readonly text: string;
}

/** The server's errors: they are no answers of a registry, and the tests of the server have them. */
const SERVER = /^platform\/http\/(?:server|send-body|connections)\.ts$/;

export function allSites(): Site[] {
  return ROOMS.flatMap((room) =>
    readdirSync(join(SRC, room), { recursive: true, encoding: 'utf8' }).map((name) => join(room, name)),
  )
    .filter((file) => file.endsWith('.ts') && !SERVER.test(file))
    .flatMap((file) =>
      readFileSync(join(SRC, file), 'utf8')
        .split('\n')
        .map((text, line) => ({ at: `${file}:${line + 1}`, text: text.trim() }))
        .filter(({ text }) => SITE.test(text) && !/^(?:import|\*|\/\/|\/\*\*)/.test(text)),
    );
}

/** Lines of `src` that the error and its causes have in their stacks. */
export function linesOf(err: unknown): Set<string> {
  const lines = new Set<string>();
  for (let current = err; current instanceof Error; current = current.cause) {
    for (const [, path = '', line = ''] of (current.stack ?? '').matchAll(/file:\/\/(\S+?\.ts):(\d+):\d+/g)) {
      lines.add(`${relative(SRC, path)}:${line}`);
    }
  }
  return lines;
}

/** What `fail` throws or rejects with. */
export async function failureOf(fail: Row['fail']): Promise<HawserError> {
  try {
    await fail();
  } catch (err) {
    const known = findError(err);
    if (known !== undefined) return known;
    throw err;
  }
  throw new Error('it did not fail');
}
