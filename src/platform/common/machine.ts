/** The machine in Go's words, as OCI descriptors have them. */

const ARCH: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  mipsel: 'mipsle',
  loong64: 'loong64',
};

/** From process.arch or Deno.build.arch; little-endian PowerPC is a name of its own. */
export function goArch(name: string, littleEndian = true): string {
  if (name === 'ppc64' && littleEndian) return 'ppc64le';
  return ARCH[name] ?? name;
}

export function goOs(name: string): string {
  return name === 'win32' ? 'windows' : name === 'sunos' ? 'solaris' : name;
}

export const littleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The ARM variant that /proc/cpuinfo tells, as containerd's platforms package reads it: `CPU architecture` 8 or AArch64 is v8,
 * 7 v7, 6 v6, 5 with its extensions v5. An ARMv6 kernel may claim 7, which its model name gives away. '' for others.
 */
export function armVariant(arch: string, cpuinfo: string): string {
  if (arch !== 'arm' && arch !== 'arm64') return '';
  const value = (key: string) => new RegExp(`^${key}\\s*:\\s*(.*)$`, 'im').exec(cpuinfo)?.[1]?.trim() ?? '';
  const version = value('CPU architecture').toLowerCase();
  if (version === '8' || version === 'aarch64') return 'v8';
  if (version === '7') {
    const old = arch === 'arm' && value('model name').toLowerCase().startsWith('armv6-compatible');
    return old ? 'v6' : 'v7';
  }
  if (version.startsWith('6')) return 'v6';
  if (version.startsWith('5')) return 'v5';
  return arch === 'arm64' ? 'v8' : '';
}
