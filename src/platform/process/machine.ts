/** The machine in Go's words, as OCI descriptors have them. */

const ARCH: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  mipsel: 'mipsle',
  loong64: 'loong64',
};

/** From process.arch or Deno.build.arch. Go has a name of its own for little-endian PowerPC. */
export function goArch(name: string, littleEndian = true): string {
  if (name === 'ppc64' && littleEndian) return 'ppc64le';
  return ARCH[name] ?? name;
}

export function goOs(name: string): string {
  return name === 'win32' ? 'windows' : name === 'sunos' ? 'solaris' : name;
}

export const littleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The features that each level of x86-64 adds (psABI, low-level system information), in the words of /proc/cpuinfo. The base has no
 * name. The kernel leaves a feature out that it does not let programs use.
 */
const AMD64_LEVELS: readonly (readonly [variant: string, features: string])[] = [
  ['v2', 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3'],
  ['v3', 'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave'],
  ['v4', 'avx512f avx512bw avx512cd avx512dq avx512vl'],
];

/** The highest level of x86-64 that the first processor of /proc/cpuinfo has; '' for the base, and when none is told. */
export function amd64Variant(cpuinfo: string): string {
  const features = new Set(/^flags[ \t]*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
  const lacking = AMD64_LEVELS.findIndex(([, added]) => !added.split(' ').every((one) => features.has(one)));
  return (lacking < 0 ? AMD64_LEVELS : AMD64_LEVELS.slice(0, lacking)).at(-1)?.[0] ?? '';
}

/** Variants by `CPU architecture` of /proc/cpuinfo, in the spellings of older kernels too (arch/arm/kernel/setup.c). */
const ARM_VARIANTS: readonly (readonly [RegExp, string])[] = [
  [/^(?:8|aarch64)$/, 'v8'],
  [/^(?:7m?|\?\(1[2-7]\))$/, 'v7'],
  [/^6(?:tej)?$/, 'v6'],
  [/^5(?:te?|tej)?$/, 'v5'],
  [/^4t?$/, 'v4'],
  [/^3$/, 'v3'],
];

/**
 * The variant of an ARM machine by /proc/cpuinfo, else (under an emulator) by `machine`, uname's word (`armv7l`, `aarch64`), as
 * containerd/platforms cpuinfo_linux.go has it. An ARMv6 kernel may claim 7; its model name tells. '' when neither tells:
 * containerd's `unknown` is a variant that no image is for. arm64 is v8 always.
 */
export function armVariant(arch: string, cpuinfo: string, machine = ''): string {
  if (arch !== 'arm') return arch === 'arm64' ? 'v8' : '';
  const value = (key: string) =>
    new RegExp(`^${key}[ \\t]*:(.*)$`, 'im').exec(cpuinfo)?.[1]?.trim().toLowerCase();
  const kernel = machine.toLowerCase();
  const architecture = value('CPU architecture') || (/^armv(\d)/.exec(kernel)?.[1] ?? kernel);
  const variant = ARM_VARIANTS.find(([form]) => form.test(architecture))?.[1];
  if (variant === 'v7' && value('model name')?.startsWith('armv6-compatible')) return 'v6';
  return variant ?? '';
}
