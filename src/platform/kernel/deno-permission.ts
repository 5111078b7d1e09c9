interface DenoPermissions {
  readonly permissions: {
    querySync(what: { readonly name: 'read'; readonly path?: string }): { readonly state: string };
  };
}

/**
 * Whether a file may be read without asking the user: on a terminal Deno prompts for what it was not told to allow. For files
 * that only make things better.
 */
export function mayRead(path?: string): boolean {
  const { Deno } = globalThis as { Deno?: DenoPermissions };
  return (
    Deno === undefined ||
    Deno.permissions.querySync({ name: 'read', ...(path === undefined ? {} : { path }) }).state === 'granted'
  );
}
