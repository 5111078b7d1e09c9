/** Who decides whether an image may come in: flags of every command that brings images into a store or a directory. */
import { type List, list, type NamesOf } from './flag.ts';

export const VERIFIER: List<'verifier'> = list({
  name: 'verifier',
  value: 'PATH',
  describe:
    'a program, or a directory of programs, that must accept the image first, by the contract of containerd (may be repeated; "none": those of a containerd are not asked)',
});

export const GATE_FLAGS: readonly [typeof VERIFIER] = [VERIFIER];
export type GateFlag = NamesOf<typeof GATE_FLAGS>;
