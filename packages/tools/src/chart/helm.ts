import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { IDaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { ICronJob } from 'kubernetes-models/batch/v1/CronJob';
import type { IJob } from 'kubernetes-models/batch/v1/Job';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IClusterRole } from 'kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole';
import type { IRole } from 'kubernetes-models/rbac.authorization.k8s.io/v1/Role';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPod } from 'kubernetes-models/v1/Pod';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { ISecret } from 'kubernetes-models/v1/Secret';
import type { IService } from 'kubernetes-models/v1/Service';
import { parseAllDocuments } from 'yaml';

/** The repository. */
export const ROOT = join(import.meta.dirname, '../../../..');
/** The chart of this repository. */
export const CHART = join(ROOT, 'deploy/chart/egressd');
const HELM = join(ROOT, '.lab/kubernetes/helm');

/** Any object of Kubernetes. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** What is taken out of renderings. */
interface Kinds {
  readonly ClusterRole: IClusterRole;
  readonly ConfigMap: IConfigMap;
  readonly CronJob: ICronJob;
  readonly DaemonSet: IDaemonSet;
  readonly Deployment: IDeployment;
  readonly Job: IJob;
  readonly NetworkPolicy: INetworkPolicy;
  readonly Pod: IPod;
  readonly Role: IRole;
  readonly Secret: ISecret;
  readonly Service: IService;
}

interface RenderOptions {
  /** What `-f` would read; undefined: the defaults. */
  readonly values?: unknown;
  readonly release?: string;
  readonly namespace?: string;
  /** Kinds that the cluster has beside Kubernetes' own, such as `cilium.io/v2`. */
  readonly apiVersions?: readonly string[];
}

/** Helm refused. The message is what it said. */
class HelmRefusal extends Error {
  override readonly name = 'HelmRefusal';
}

/** Runs helm without a cluster. @returns what it printed @throws HelmRefusal */
export async function helm(args: readonly string[], input = ''): Promise<string> {
  if (!existsSync(HELM)) throw new Error(`there is no ${HELM}: \`npm test -- chart\` unpacks it`);
  const child = spawn(HELM, args, { env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', KUBECONFIG: '/dev/null' } });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.end(input);
  const [code, said, complaint] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new HelmRefusal(complaint.trim() || said.trim());
  return said;
}

function argumentsOf({ release = 'egressd', namespace = 'egressd', apiVersions = [] }: RenderOptions): string[] {
  const extra = apiVersions.flatMap((version) => ['--api-versions', version]);
  return [release, CHART, '--namespace', namespace, '-f', '-', ...extra];
}

/** What `helm template` prints. */
export function renderText(options: RenderOptions = {}): Promise<string> {
  return helm(['template', ...argumentsOf(options)], JSON.stringify(options.values ?? {}));
}

/** Every object of an installation, hooks and tests among them. */
export async function render(options: RenderOptions = {}): Promise<KubeObject[]> {
  const documents = parseAllDocuments(await renderText(options));
  const objects = documents.map((document) => document.toJS({ maxAliasCount: 0 }) as KubeObject | null);
  return objects.filter((object) => object !== null);
}

/** NOTES.txt: what `helm install` shows at the end. */
export async function renderNotes(options: RenderOptions = {}): Promise<string> {
  const args = ['install', ...argumentsOf(options), '--dry-run=client'];
  const printed = await helm(args, JSON.stringify(options.values ?? {}));
  return printed.slice(printed.indexOf('\nNOTES:\n') + '\nNOTES:\n'.length);
}

/** The one object of a kind, or the one whose name ends so. @throws where there is not exactly one */
export function find<K extends keyof Kinds>(objects: readonly KubeObject[], kind: K, nameEnd = ''): Kinds[K] {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.endsWith(nameEnd));
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind} *${nameEnd}`);
  return found[0] as unknown as Kinds[K];
}

/** What the pods of a workload are made from. */
export function podSpec(workload: IDaemonSet | IDeployment | IJob): IPodSpec {
  const spec = workload.spec?.template.spec;
  if (spec === undefined) throw new Error(`${workload.kind} without a pod`);
  return spec;
}

/** The one container of a pod that does its work. */
export function container(workload: IDaemonSet | IDeployment | IJob): IContainer {
  const [one, ...others] = podSpec(workload).containers;
  if (one === undefined || others.length > 0) throw new Error(`${workload.kind} has not one container`);
  return one;
}
