import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, binarySize, decimalSize, duration, paddedSize } from '../../../src/cli/render/units.ts';
import { parseDuration } from '../../../src/core/duration.ts';
import { messageOf } from '../../../src/core/errors.ts';

test('units: binary sizes step at 1024 and keep one decimal', () => {
  const vectors: [number, string][] = [
    [0, '0.0 B'],
    [1023, '1023.0 B'],
    [1024, '1.0 KiB'],
    [1048575, '1024.0 KiB'],
    [1048576, '1.0 MiB'],
    [2 ** 30, '1.0 GiB'],
    [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
  ];
  for (const [bytes, want] of vectors) assert.equal(binarySize(bytes), want);
});

test('units: a size of the display is set in nine columns, and keeps its unit', () => {
  const vectors: [number, string][] = [
    [0, '    0.0 B'],
    [586, '  586.0 B'],
    [1000, ' 1000.0 B'],
    [1024, '  1.0 KiB'],
    [1048575, '1024.0 KiB'],
    [28521267, ' 27.2 MiB'],
    [2 ** 30, '  1.0 GiB'],
  ];
  for (const [bytes, want] of vectors) assert.equal(paddedSize(bytes), want);
});

test('units: decimal sizes have four significant digits', () => {
  const vectors: [number, string][] = [
    [0, '0B'],
    [105, '105B'],
    [999, '999B'],
    [1000, '1kB'],
    [1501, '1.501kB'],
    [2035, '2.035kB'],
    [96_530_000, '96.53MB'],
    [999_999, '1000kB'],
  ];
  for (const [bytes, want] of vectors) assert.equal(decimalSize(bytes), want);
});

test('units: ages are in words', () => {
  const s = 1000;
  const h = 3600 * s;
  const vectors: [number, string][] = [
    [0, 'Less than a second'],
    [999, 'Less than a second'],
    [s, '1 second'],
    [27 * s, '27 seconds'],
    [60 * s, 'About a minute'],
    [5 * 60 * s + 59 * s, '5 minutes'],
    [h, 'About an hour'],
    [1.49 * h, 'About an hour'],
    [1.5 * h, '2 hours'],
    [47 * h, '47 hours'],
    [48 * h, '2 days'],
    [13 * 24 * h, '13 days'],
    [14 * 24 * h, '2 weeks'],
    [59 * 24 * h, '8 weeks'],
    [60 * 24 * h, '2 months'],
    [729 * 24 * h, '24 months'],
    [730 * 24 * h, '2 years'],
  ];
  for (const [ms, want] of vectors) assert.equal(age(ms), want);
});

test('units: durations are in the form of Go', () => {
  const vectors: [number, string][] = [
    [0, '0s'],
    [638.1, '638.1ms'],
    [101.369442, '101.369442ms'],
    [0.0005, '500ns'],
    [0.0105, '10.5µs'],
    [1500, '1.5s'],
    [61_000, '1m1s'],
    [3_600_000, '1h0m0s'],
    [3_661_250, '1h1m1.25s'],
    [-1500, '-1.5s'],
  ];
  for (const [ms, want] of vectors) assert.equal(duration(ms), want);
});

test('units: durations of Go are read', () => {
  const vectors: [string, number][] = [
    ['0', 0],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['300ms', 300],
    ['1us', 0.001],
    ['-2s', -2000],
  ];
  for (const [text, want] of vectors) assert.equal(parseDuration(text), want);
});

test('units: what is no duration is refused in the words of Go', () => {
  const vectors: [string, string][] = [
    ['', 'invalid duration ""'],
    ['10', 'missing unit in duration "10"'],
    ['s', 'invalid duration "s"'],
    ['5x', 'unknown unit "x" in duration "5x"'],
    ['5 m', 'unknown unit " m" in duration "5 m"'],
    ['1constructor', 'unknown unit "constructor" in duration "1constructor"'],
  ];
  for (const [text, want] of vectors) {
    assert.throws(
      () => parseDuration(text),
      (err) => messageOf(err) === want,
    );
  }
});
