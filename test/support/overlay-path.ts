/**
 * A path as a value of an overlay mount option (`lowerdir`, `upperdir`, `workdir`): backslash, comma and colon are put
 * behind a backslash, which the kernel takes off again (fs/overlayfs/params.c; mount(8) hands it on).
 */
export function escapeOverlayPath(path: string): string {
  return path.replace(/[\\,:]/g, '\\$&');
}
