import { checkDuration } from '../duration.ts';

/** The value of the label of a lease that ends so many milliseconds from `now` on. InvalidArgument. */
export function expiry(now: number, expiresIn: number): string {
  checkDuration('expiresIn', expiresIn);
  return new Date(now + expiresIn).toISOString();
}
