import process from 'node:process';

/** The part of Deno that this file uses. */
interface DenoPermissions {
  readonly permissions: { querySync(what: Permission): { readonly state: string } };
}

type Permission = { name: 'sys'; kind: 'ca' } | { name: 'env'; variable: string };

/** PEM texts of the operating system's trust store; none where the runtime cannot or may not read it. */
export function systemRoots(): readonly string[] {
  try {
    const tls = process.getBuiltinModule('node:tls');
    return mayRead({ name: 'sys', kind: 'ca' }) ? (tls.getCACertificates?.('system') ?? []) : [];
  } catch {
    return [];
  }
}

/** Whether NODE_EXTRA_CA_CERTS adds to the runtime's default store; true where that cannot be known. */
export function hasExtraRoots(): boolean {
  const variable = 'NODE_EXTRA_CA_CERTS';
  return mayRead({ name: 'env', variable }) ? (process.env[variable] ?? '') !== '' : true;
}

/** Without the permission, Deno would stop and ask its user. */
function mayRead(what: Permission): boolean {
  const { Deno } = globalThis as unknown as { Deno?: DenoPermissions };
  return Deno === undefined || Deno.permissions.querySync(what).state === 'granted';
}
