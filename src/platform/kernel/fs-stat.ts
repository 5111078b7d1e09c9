import type { BigIntStats } from 'node:fs';
import type { Stat, TimeSpec } from '../../core/ports/syscalls.ts';

/** The port's Stat of what node:fs gives. */
export function toStat(stat: BigIntStats): Stat {
  const { rdev, dev } = stat;
  return {
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    nlink: Number(stat.nlink),
    dev: `${devMajor(dev)}:${devMinor(dev)}`,
    ino: String(stat.ino),
    rdevMajor: devMajor(rdev),
    rdevMinor: devMinor(rdev),
    atime: toTime(stat.atimeNs),
    mtime: toTime(stat.mtimeNs),
    blocks: Number(stat.blocks),
  };
}

/** glibc's major and minor. */
function devMajor(dev: bigint): number {
  return Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n));
}

function devMinor(dev: bigint): number {
  return Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n));
}

function toTime(ns: bigint): TimeSpec {
  const nsec = Number(((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
  return { sec: Number((ns - BigInt(nsec)) / 1_000_000_000n), nsec };
}
