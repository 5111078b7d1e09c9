import { isFormatName } from '../codec/formats.ts';
import { HawserError } from '../errors.ts';

const OCI = /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(.*))?$/;
const DOCKER = /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.([^.+]+))?$/;

/**
 * NotImplemented for a media type that is no layer we can unpack. A known type says nothing of the compression, as Docker's
 * types are wrong in the wild: the first bytes decide.
 */
export function checkLayerType(mediaType: string): void {
  const known = OCI.exec(mediaType) ?? DOCKER.exec(mediaType);
  const suffix = known?.[1];
  if (suffix?.split('+').includes('encrypted') === true) {
    throw new HawserError('NotImplemented', `the layer is encrypted (${mediaType})`, {
      hint: 'Decrypt the image first, with imgcrypt or skopeo',
    });
  }
  if (known !== null && (suffix === undefined || isFormatName(suffix))) return;
  throw new HawserError('NotImplemented', `no processor for media-type: ${mediaType}`, {
    hint: 'Layers are unpacked that are tar archives, plain or in gzip or zstd. The content can be fetched: hawser content fetch REF',
  });
}
