import { HawserError } from '../../core/errors.ts';

export type Provider = 'ffi' | 'tools';

/** The preferred provider; without a preference FFI, or tools where the runtime has no FFI. FailedPrecondition when FFI is preferred and absent. */
export function chooseProvider<L, T>(
  prefer: Provider | undefined,
  openLibc: () => L | undefined,
  make: { ffi(libc: L): T; tools(): T },
): T {
  const libc = prefer === 'tools' ? undefined : openLibc();
  if (libc !== undefined) return make.ffi(libc);
  if (prefer !== 'ffi') return make.tools();
  throw new HawserError('FailedPrecondition', 'using FFI: this runtime has none, or it is not allowed', {
    hint: 'Use Node 26.1 or newer (with --permission: --allow-ffi), or Deno with --allow-ffi',
  });
}
