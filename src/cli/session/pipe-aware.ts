import { HawserError, isKind } from '../../core/errors.ts';
import type { Output } from '../../core/ports/host.ts';

/** Wraps an output: a closed pipe is Aborted with errno EPIPE, which tells it from other aborted work. */
export function pipeAware(output: Output): Output {
  return {
    isTerminal: output.isTerminal,
    columns: () => output.columns(),
    rows: () => output.rows?.(),
    write: async (data) => {
      try {
        await output.write(data);
      } catch (err) {
        if (!isKind(err, 'Aborted')) throw err;
        throw new HawserError('Aborted', 'the output was closed', {
          cause: err,
          reason: { type: 'errno', errno: 'EPIPE' },
        });
      }
    },
  };
}
