import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from './helm.ts';

const MODULES = join(import.meta.dirname, '../../node_modules');
const TSC = join(import.meta.dirname, '../../../../node_modules/.bin/tsc');

/** Who knows the kinds of a group: packages generated from the OpenAPI documents of Kubernetes, and from these projects' CRDs. */
const MODELS: Readonly<Record<string, string>> = {
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/** Where the model of an object lies: `kubernetes-models/apps/v1/DaemonSet`. */
function modelOf({ apiVersion, kind }: KubeObject): string {
  const group = apiVersion.split('/')[0]!;
  return `${MODELS[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/**
 * What is wrong with objects: fields that do not exist and values of another type, by the TypeScript compiler.
 * @returns the compiler's complaints, one a line; empty: nothing
 */
export function typeMistakes(objects: readonly KubeObject[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'egressd-objects-'));
  try {
    symlinkSync(MODULES, join(folder, 'node_modules'));
    const statements = objects.map((object, i) => {
      const name = `${object.kind}${i}`;
      const type = `import type { I${object.kind} as I${name} } from '${modelOf(object)}';`;
      return `${type}\nexport const ${name}: I${name} = ${JSON.stringify(object, undefined, 1)};\n`;
    });
    writeFileSync(join(folder, 'objects.ts'), statements.join(''));
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext'];
    execFileSync(TSC, [...flags, 'objects.ts'], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return '';
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined) throw error;
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is wrong with one object: fields that have to be there, formats and ranges, by its JSON schema. */
export async function schemaMistakes(object: KubeObject): Promise<string[]> {
  const module = (await import(modelOf(object))) as Record<string, new (data: KubeObject) => { validate(): void }>;
  const Model = module[object.kind];
  if (Model === undefined) throw new Error(`no model of ${object.apiVersion} ${object.kind}`);
  try {
    new Model(object).validate();
    return [];
  } catch (error) {
    return [`${object.kind} ${object.metadata.name}: ${(error as Error).message}`];
  }
}
