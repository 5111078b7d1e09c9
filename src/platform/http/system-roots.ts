import process from 'node:process';

/** The part of Deno that this file uses. */
interface DenoPermissions {
  readonly permissions: { querySync(what: { name: 'sys'; kind: 'ca' }): { readonly state: string } };
}

/** PEM texts of the operating system's trust store; none where the runtime cannot or may not read it. */
export function systemRoots(): readonly string[] {
  try {
    const tls = process.getBuiltinModule('node:tls');
    return mayRead() ? (tls.getCACertificates?.('system') ?? []) : [];
  } catch {
    return [];
  }
}

/** Without the permission, Deno would stop and ask its user. */
function mayRead(): boolean {
  const { Deno } = globalThis as unknown as { Deno?: DenoPermissions };
  return Deno === undefined || Deno.permissions.querySync({ name: 'sys', kind: 'ca' }).state === 'granted';
}
