import { HawserError } from '../errors.ts';
import type { Platform } from '../oci/descriptor.ts';
import { build, normalizeArch, normalizeOs } from './normalize.ts';

const KNOWN_OS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const KNOWN_ARCH: ReadonlySet<string> = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 ' +
    'mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);
const PART = /^[A-Za-z0-9_.-]+$/;
const OS_PART = /^([A-Za-z0-9_.-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;
const FORM = 'Write a platform as os/arch or os/arch/variant: linux/amd64, linux/arm/v7';

/**
 * Parses `os[(version[+feature]*)]`, `arch`, `os/arch` or `os/arch/variant` (containerd/platforms). `host` completes a
 * lone os or arch. InvalidArgument, with a hint.
 */
export function parsePlatform(text: string, host: Platform): Platform {
  if (text.includes('*')) throw refuse(text, 'wildcards are not supported');
  if (text.length > 1024) throw refuse(text.slice(0, 64), 'too long');
  const [first = '', second, third, ...more] = text.split('/');
  if (more.length > 0) throw refuse(text, 'cannot parse platform specifier');
  const head = parseOs(first, text);
  for (const part of [second, third]) {
    if (part !== undefined && !PART.test(part)) throw refuse(text, `"${part}" is an invalid component`);
  }
  if (second === undefined) return lone(first, head, host, text);
  const { architecture, variant } = normalizeArch(second, third ?? '');
  if (third === undefined)
    return build({ ...head, architecture, variant: impliedVariant(architecture, variant) });
  return build({
    ...head,
    architecture,
    variant: architecture === 'arm64' && variant === '' ? 'v8' : variant,
  });
}

interface OsPart {
  readonly os: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

function lone(part: string, head: OsPart, host: Platform, text: string): Platform {
  if (KNOWN_OS.has(head.os)) {
    const variant = host.architecture === 'arm' ? impliedVariant('arm', host.variant ?? '') : '';
    return build({ ...head, architecture: host.architecture, variant });
  }
  const { architecture, variant } = normalizeArch(part, '');
  if (!KNOWN_ARCH.has(architecture)) throw refuse(text, 'unknown operating system or architecture');
  return build({ ...head, os: host.os, architecture, variant: impliedVariant(architecture, variant) });
}

/** arm/v7 is written as arm. */
function impliedVariant(architecture: string, variant: string): string {
  return architecture === 'arm' && variant === 'v7' ? '' : variant;
}

function parseOs(part: string, text: string): OsPart {
  const found = OS_PART.exec(part);
  if (found === null) throw refuse(text, `"${part}" is an invalid OS component`);
  const [, os = '', version = '', features = ''] = found;
  const list = features.split('+').slice(1);
  return {
    os: normalizeOs(os),
    osVersion: decodePart(version, text),
    osFeatures: [...new Set(list.map((feature) => decodePart(feature, text)))].sort(),
  };
}

function decodePart(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw refuse(text, `"${part}" has a bad escape`, cause);
  }
}

function refuse(text: string, why: string, cause?: unknown): HawserError {
  return new HawserError('InvalidArgument', `Cannot use platform ${JSON.stringify(text)}: ${why}`, {
    hint: FORM,
    cause,
  });
}
