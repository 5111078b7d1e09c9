import process from 'node:process';

/** What CI takes: its verdict must not hang on chance. */
const CI_SEED = 20261125;

/** HAWSER_SEED repeats a run. Without it, another one each time. A 31-bit integer; print it. */
export function chosenSeed(): number {
  const given = process.env.HAWSER_SEED;
  if (given !== undefined && given !== '') return Number(given) % 2 ** 31;
  return process.env.CI === 'true' ? CI_SEED : Math.floor(Math.random() * 2 ** 31);
}
