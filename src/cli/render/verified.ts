/** Who vouches for an image, in a line. Nothing is said of what was not checked. */
import type { ProgressEvent } from '../../core/progress/events.ts';
import type { Voucher } from '../../core/trust/voucher.ts';
import { redact, safe } from './text.ts';
import { binarySize } from './units.ts';

type VerifiedEvent = Extract<ProgressEvent, { type: 'verified' }>;

/** `registry.example/a:1: verified sha256:…: key SHA256:… (policy /etc/hawser/policy.json, scope registry.example)`. */
export function verifiedLine({ name, target, by, vouchers }: VerifiedEvent): string {
  return safe(redact(`${name}: verified ${target}: ${whoVouches(vouchers)} (${by})`));
}

export function whoVouches(vouchers: readonly Voucher[]): string {
  return vouchers.map(voucherText).join(', ');
}

/** As `whoVouches`, with the form of each signature and what finding that has cost. */
export function howVouched(vouchers: readonly Voucher[]): string {
  return vouchers.map((one) => [voucherText(one), ...detailsOf(one)].join(', ')).join('; ');
}

function detailsOf({ format, requests, bytes }: Voucher): string[] {
  return [
    ...(format === undefined ? [] : [FORMATS[format]]),
    ...(requests === undefined ? [] : [requests === 1 ? '1 request' : `${requests} requests`]),
    ...(bytes === undefined ? [] : [binarySize(bytes)]),
  ];
}

const FORMATS = { attachment: 'at the tag of signatures', bundle: 'by a bundle among the referrers' };

function voucherText({ by, signer, issuer, at }: Voucher): string {
  const who = { key: 'key', fulcio: 'signed by', pki: 'signed by', verifier: 'program' }[by];
  const identified = issuer === undefined ? '' : `, whom ${issuer} has identified`;
  return `${who} ${signer}${identified}${at === undefined ? '' : `, at ${at}`}`;
}
