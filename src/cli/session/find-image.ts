import { isKind } from '../../core/errors.ts';
import type { Image, ImageStore } from '../../core/images/image-store.ts';
import type { Call } from '../../core/ports/call.ts';
import { parseReference } from '../../core/reference/parse.ts';
import { orHint } from './not-found.ts';

/** An image record by its name, or by a short name (`alpine`) as pulls accept. NotFound has the name as it was given. */
export async function findImage(images: ImageStore, name: string, call: Call): Promise<Image> {
  const hint = `Pull it: hawser pull ${name}; hawser images ls lists the images of this namespace`;
  return await orHint(find(images, name, call), hint);
}

async function find(images: ImageStore, name: string, call: Call): Promise<Image> {
  try {
    return await images.get(name, call);
  } catch (err) {
    const full = fullName(name);
    if (!isKind(err, 'NotFound') || full === undefined || full === name) throw err;
    try {
      return await images.get(full, call);
    } catch (second) {
      throw isKind(second, 'NotFound') ? err : second;
    }
  }
}

function fullName(name: string): string | undefined {
  try {
    return parseReference(name).name;
  } catch {
    return undefined;
  }
}
