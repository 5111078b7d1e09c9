/** Every kind of store there is: one line each, by which the command line and the library open it. */
import { openLocalBackend } from './local/open.ts';

type OpenContainerd = typeof import('./containerd/open.ts')['openContainerdBackend'];

export interface Backends {
  readonly local: typeof openLocalBackend;
  readonly containerd: OpenContainerd;
}

export const backends: Backends = {
  local: openLocalBackend,
  // Loaded when asked for: gRPC takes longer to load than most commands take.
  containerd: async (...given) => (await import('./containerd/open.ts')).openContainerdBackend(...given),
};
