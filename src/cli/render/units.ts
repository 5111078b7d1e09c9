/** Sizes, ages and durations as ctr prints them (containerd's progress.Bytes, docker/go-units, Go's time.Duration). */

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];

/** `1.6 KiB`: base 1024, one decimal. */
export function binarySize(bytes: number): string {
  const [value, unit] = scale(bytes, 1024, BINARY);
  return `${value.toFixed(1)} ${unit}`;
}

/** `1.501kB`: base 1000, four significant digits, no space. */
export function decimalSize(bytes: number): string {
  const [value, unit] = scale(bytes, 1000, DECIMAL);
  return `${Number(value.toPrecision(4))}${unit}`;
}

/** A size of the display, on the right of nine columns. ctr cuts it to six or eight characters, and with it the unit. */
export function paddedSize(bytes: number): string {
  return binarySize(bytes).padStart(9);
}

function scale(bytes: number, base: number, units: readonly string[]): [number, string] {
  let value = bytes;
  let step = 0;
  while (value >= base && step < units.length - 1) {
    value /= base;
    step++;
  }
  return [value, units[step] ?? 'B'];
}

/** Milliseconds as an age in words (docker/go-units). */
export function age(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  const minutes = Math.trunc(ms / 60_000);
  const hours = Math.trunc(ms / 3_600_000 + 0.5);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(ms / 3_600_000 / 24 / 365)} years`;
}

/** `1m1s`, `1.5s`, `638.1ms`: milliseconds in Go's form of a duration, to the nanosecond. */
export function duration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return '0s';
  if (ns < 0) return `-${duration(-ms)}`;
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${trim(ns, 3)}µs`;
  if (ns < 1e9) return `${trim(ns, 6)}ms`;
  const whole = Math.floor(ns / 1e9);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const seconds = `${trim((whole % 60) * 1e9 + (ns % 1e9), 9)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** `ns` / 10^digits without trailing zeros. Integers only: no digit is lost. */
function trim(ns: number, digits: number): string {
  const unit = 10 ** digits;
  const fraction = String(ns % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  const whole = Math.floor(ns / unit);
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}
