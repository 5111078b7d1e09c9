import process from 'node:process';

/** Features that are experimental in some version of Node that we support, and that our tests cover. */
const ACCEPTED = /SQLite|\bffi\b|FFI|SOCKS5/i;

/** Not true of hawser, which verifies all the same. */
const UNTRUE = /^Setting the NODE_TLS_REJECT_UNAUTHORIZED environment variable/;

/** Drops Node's warnings that node:sqlite and node:ffi are experimental, and that connections are not verified. */
export function quietWarnings(): void {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    const [first] = rest;
    const name =
      typeof warning === 'object'
        ? warning.name
        : typeof first === 'string'
          ? first
          : (first as { type?: string } | undefined)?.type;
    const text = typeof warning === 'string' ? warning : warning.message;
    if ((name === 'ExperimentalWarning' && ACCEPTED.test(text)) || UNTRUE.test(text)) return;
    emit(warning, ...rest);
  };
}
