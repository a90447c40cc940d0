// Compiles our BPF programs where nothing else does: in the build of an image.
import { buildBpf } from './bpf.mjs';

buildBpf();
