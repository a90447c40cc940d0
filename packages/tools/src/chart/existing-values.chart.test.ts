import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseCollectorFlags } from '@egressd/collector/flags';
import { parseCheckInstallFlags } from '@egressd/exporter/check-install/flags';
import { readConfig } from '@egressd/exporter/config/load';
import { parseExporterFlags } from '@egressd/exporter/flags';
import { describe, expect, test } from '@jest/globals';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { container, find, type KubeObject, podSpec, render } from './helm.ts';
import { podsOf } from './references.ts';
import { valuesOf } from './values-files.ts';

/** What stands in Secrets of the user's. */
const SECRETS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mimir: { password: 'password' },
  'castai-key': { API_KEY: 'key-in-a-secret' },
  'castai-agent-metadata': { CLUSTER_ID: 'id-in-a-secret' },
};

/** The environment that a container gets, with what the objects and the user's Secrets hold. */
function environmentOf({ env = [] }: IContainer, objects: readonly KubeObject[]): Record<string, string> {
  const ofSecret = (name: string, key: string) => {
    const data = find(objects, 'Secret', name).data?.[key];
    return Buffer.from(data ?? '', 'base64').toString();
  };
  const entries = env.map(({ name, value, valueFrom }) => {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {};
    if (secret !== '') return [name, SECRETS[secret]?.[key] ?? ofSecret(secret, key)];
    return [name, value ?? `<${valueFrom?.fieldRef?.fieldPath}>`];
  });
  return Object.fromEntries(entries);
}

/** What an installation comes to, once its daemons have read what they are given. */
async function install(name: string, apiVersions: readonly string[] = []) {
  const objects = await render({ values: valuesOf(name), apiVersions });
  const [daemonSet, deployment] = [find(objects, 'DaemonSet'), find(objects, 'Deployment')];
  const [collector, exporter] = [container(daemonSet), container(deployment)];
  const environment = environmentOf(exporter, objects);
  const collectorFlags = parseCollectorFlags(collector.args ?? [], {});
  const exporterFlags = parseExporterFlags(exporter.args ?? [], {});
  if (collectorFlags.kind !== 'values') throw new Error(JSON.stringify(collectorFlags));
  if (exporterFlags.kind !== 'values') throw new Error(JSON.stringify(exporterFlags));
  const text = objects.some(({ kind }) => kind === 'ConfigMap') ? find(objects, 'ConfigMap').data!['config.yaml']! : '';
  const config = readConfig(text, '/etc/egressd/config/config.yaml', environment);
  if (!config.ok) throw new Error(config.mistakes.join('\n'));
  return {
    objects,
    daemonSet,
    deployment,
    collector,
    exporter,
    environment,
    collectorFlags: collectorFlags.values,
    exporterFlags: exporterFlags.values,
    config: config.config,
    warnings: config.warnings,
  };
}

/** A sink that has these settings, and others. */
function sink(name: string, kind: string, settings: Readonly<Record<string, unknown>>) {
  return { name, kind, settings: expect.objectContaining(settings) };
}

const SAAS = { method: 'POST', compression: 'gzip', encoding: 'protobuf', timeoutMs: 30_000 };

describe('values files of the charts before', () => {
  test.each(['prometheus-only', 'saas-values', 'saas-secrets', 'structured-config', 'existing-secret'])(
    'ports, labels and arguments: %s',
    async (name) => {
      const { daemonSet, deployment, collector, exporter, collectorFlags, environment } = await install(name);
      // The selectors of what is there already cannot be changed by an upgrade.
      const release = { 'app.kubernetes.io/instance': 'egressd' };
      expect(daemonSet.spec!.selector.matchLabels).toEqual({ 'app.kubernetes.io/name': 'egressd', ...release });
      expect(deployment.spec!.selector.matchLabels).toEqual({
        'app.kubernetes.io/name': 'egressd-exporter',
        ...release,
      });
      expect(daemonSet.metadata!.name).toBe('egressd');
      expect(deployment.metadata!.name).toBe('egressd-exporter');
      expect(daemonSet.spec!.template.metadata).toMatchObject({
        labels: { 'app.kubernetes.io/component': 'egressd-collector', ...daemonSet.spec!.selector.matchLabels },
        annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '6061' },
      });
      expect(deployment.spec!.template.metadata).toMatchObject({
        labels: deployment.spec!.selector.matchLabels!,
        annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '6060' },
      });
      expect(collector.ports).toEqual([{ name: 'http-server', containerPort: 6061, protocol: 'TCP' }]);
      expect(exporter.ports).toContainEqual({ name: 'http-server', containerPort: 6060, protocol: 'TCP' });
      const args = [
        '-http-listen-port=6061',
        '-group-public-ips=true',
        '-ebpf-dns-tracer-enabled=false',
        '-log-level=info',
      ];
      expect(collector.args).toEqual(expect.arrayContaining(args));
      // The one difference: not set, so that remote write gets counters, and the SaaS its deltas as ever.
      expect(collectorFlags.sendTrafficDelta).toBeUndefined();
      expect(exporter.args).toEqual(expect.arrayContaining(['-http-listen-port=6060']));
      expect(collector.env).toEqual([{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }]);
      expect(environment).toMatchObject({ POD_NAMESPACE: '<metadata.namespace>', POD_IP: '<status.podIP>' });
      expect(podSpec(daemonSet)).toMatchObject({
        hostNetwork: true,
        dnsPolicy: 'ClusterFirstWithHostNet',
        tolerations: [{ operator: 'Exists' }],
      });
      expect(JSON.stringify(podSpec(daemonSet).affinity)).toContain(
        '"key":"eks.amazonaws.com/compute-type","operator":"NotIn","values":["fargate"]',
      );
      expect(podSpec(deployment).securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10_001 });
    },
  );

  test('Prometheus only: neither key nor cluster id', async () => {
    const { config, environment } = await install('prometheus-only');
    expect(config.exportIntervalMs).toBe(60_000);
    expect(config.sinks).toEqual([
      sink('prom_sink', 'prom_remote_write', {
        url: 'http://egressd-victoria:8428/api/v1/write',
        headers: { 'My-Optional-Header': 'my-header-value' },
        labels: { my_custom_label: 'label_value' },
        sendReceivedBytesMetric: false,
      }),
    ]);
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['API_KEY']));
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['CLUSTER_ID']));
  });

  test('the SaaS, with values', async () => {
    const { config, environment, objects } = await install('saas-values');
    const url = 'https://api.cast.ai/v1/kubernetes/clusters/0f9b8c7d-1111-2222-3333-444455556666/egressd-metrics';
    const headers = { 'X-API-Key': 'key-of-mine' };
    expect(config.sinks).toEqual([sink('castai', 'http', { ...SAAS, url, headers })]);
    expect(environment).toMatchObject({ API_KEY: 'key-of-mine', CLUSTER_ID: '0f9b8c7d-1111-2222-3333-444455556666' });
    expect(find(objects, 'Secret').metadata!.name).toBe('egressd');
    expect(JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'))).not.toContain('key-of-mine');
  });

  test('the SaaS, with Secrets', async () => {
    const { config, objects } = await install('saas-secrets');
    const url = 'https://api.eu.cast.ai/v1/kubernetes/clusters/id-in-a-secret/egressd-metrics';
    const headers = { 'X-API-Key': 'key-in-a-secret' };
    expect(config.sinks).toEqual([sink('castai', 'http', { ...SAAS, url, headers })]);
    expect(objects.filter(({ kind }) => kind === 'Secret')).toEqual([]);
  });

  test('flags, contexts and places of their own', async () => {
    const { collectorFlags, exporterFlags, daemonSet, deployment, collector, exporter } = await install('extra-args');
    expect(collectorFlags).toMatchObject({
      httpListenPort: 6161,
      groupPublicIps: false,
      sendTrafficDelta: true,
      ebpfDnsTracerQueueSize: 1_000_000,
      excludeNamespaces: ['kube-system', 'monitoring'],
      readInterval: 10_000,
      logLevel: 'debug',
    });
    expect(exporterFlags).toMatchObject({ httpListenPort: 6160, logLevel: 'debug' });
    expect(podSpec(daemonSet)).toMatchObject({
      priorityClassName: 'system-node-critical',
      imagePullSecrets: [{ name: 'registry' }],
      nodeSelector: { pool: 'workers', 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'dedicated', operator: 'Exists' }],
    });
    expect(podSpec(deployment)).toMatchObject({
      priorityClassName: 'system-cluster-critical',
      dnsPolicy: 'ClusterFirstWithHostNet',
      nodeSelector: { pool: 'infra', 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'infra', operator: 'Exists' }],
    });
    for (const workload of [daemonSet, deployment]) {
      const metadata = workload.spec!.template.metadata!;
      expect(metadata.annotations).toMatchObject({ team: 'network' });
      expect(metadata.labels).toMatchObject({ 'cost-center': '42' });
    }
    expect(deployment.spec!.template.metadata!.annotations).not.toHaveProperty(['prometheus.io/scrape']);
    expect(collector.imagePullPolicy).toBe('Always');
    // Kubernetes refuses a privileged container that may not escalate.
    expect(collector.securityContext).toMatchObject({ privileged: true, readOnlyRootFilesystem: true });
    expect(collector.securityContext).not.toHaveProperty('allowPrivilegeEscalation');
    expect(exporter.resources).toEqual({ requests: { cpu: '50m', memory: '100Mi' }, limits: { memory: '512Mi' } });
  });

  test('structuredConfig over the template', async () => {
    const { config } = await install('structured-config');
    expect(config.exportIntervalMs).toBe(30_000);
    const castai = sink('castai', 'http', { ...SAAS, compression: '' });
    const mimir = sink('mimir', 'prom_remote_write', {
      url: 'https://egressd.mimir.example/api/v1/push',
      sendReceivedBytesMetric: true,
      labels: { cluster: 'blue' },
    });
    expect(config.sinks).toEqual([castai, mimir]);
  });

  test('the whole configuration in a Secret', async () => {
    const { objects, deployment, exporter } = await install('existing-secret');
    expect(objects.filter(({ kind }) => kind === 'ConfigMap')).toEqual([]);
    expect(podSpec(deployment).volumes).toContainEqual({
      name: 'config',
      secret: { secretName: 'my-config', defaultMode: 0o440 },
    });
    expect(exporter.volumeMounts).toContainEqual({ name: 'config', mountPath: '/etc/egressd/config', readOnly: true });
  });
});

test('the name of the cluster is on every series that is written, unless a sink has another', async () => {
  const { config } = await install('persistent');
  const labels = config.sinks.map(({ name, settings }) => [name, 'labels' in settings ? settings.labels : undefined]);
  expect(Object.fromEntries(labels)).toEqual({
    lines: undefined,
    mimir: { cluster: 'blue' },
    other: { cluster: 'green' },
  });
});

test('what the Jobs start is a program of the exporter', async () => {
  const pods = (await render()).flatMap((object) => podsOf(object) ?? []);
  const commands = pods.flatMap(({ containers }) => containers.flatMap(({ command }) => (command ? [command] : [])));
  expect(commands).toHaveLength(3);
  for (const [node, ...words] of commands) {
    expect(node).toBe('node');
    const file = words.find((word) => !word.startsWith('--'));
    const [, program] = /^\/app\/dist\/([a-z-]+)\.js$/.exec(file!) ?? [];
    expect(existsSync(join(import.meta.dirname, `../../../exporter/src/${program}.ts`))).toBe(true);
  }
});

describe('every values file', () => {
  test.each(['default', 'persistent', 'cilium', 'own-network', 'own-certificates', 'plain-text', 'air-gapped'])(
    'is understood by the daemons: %s',
    async (name) => {
      const { objects, collectorFlags, exporterFlags, warnings } = await install(name);
      expect(collectorFlags.exporterAddress).toMatch(/^(egressd|traffic)-exporter\.egressd\.svc:6062$/);
      expect(collectorFlags.insecure).toBe(name === 'plain-text');
      expect(exporterFlags.insecure).toBe(name === 'plain-text');
      expect(warnings).toEqual([]);
      // Only a volume outlives the pod.
      const [kept, volume] = [name !== 'own-certificates', name === 'persistent'];
      expect(exporterFlags.stateDir).toBe(kept ? '/var/lib/egressd/exporter' : undefined);
      expect(exporterFlags.stateEphemeral).toBe(kept && !volume);
      expect(collectorFlags.stateDir).toBe(kept ? '/var/lib/egressd/collector' : undefined);
      const [check] = find(objects, 'Pod', '-check-install').spec!.containers;
      const service = find(objects, 'Service').metadata!.name;
      const { httpListenPort } = exporterFlags;
      expect(parseCheckInstallFlags(check!.args ?? [], {})).toMatchObject({
        values: { url: `http://${service}.egressd.svc:${httpListenPort}/metrics` },
      });
    },
  );
});
