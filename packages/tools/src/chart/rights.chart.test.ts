import { beforeAll, describe, expect, test } from '@jest/globals';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { container, find, type KubeObject, podSpec, render } from './helm.ts';
import { podsOf } from './references.ts';

describe('what the collector may do, by how it reads', () => {
  const CILIUM = ['cilium.io/v2'];
  const OWN_NETWORK = { hostNetwork: false };

  test.each<[string, object, string[], { caps: string; hostPID: boolean; maps: boolean | 'write'; init: boolean }]>([
    ['the defaults', {}, [], { caps: 'NET_ADMIN', hostPID: false, maps: false, init: true }],
    ['a cluster with Cilium', {}, CILIUM, { caps: 'NET_ADMIN BPF', hostPID: false, maps: 'write', init: true }],
    ['eBPF', { ctMode: 'ebpf' }, [], { caps: 'NET_ADMIN BPF', hostPID: false, maps: 'write', init: true }],
    [
      'eBPF where it helps',
      { allowEbpf: true },
      [],
      { caps: 'NET_ADMIN BPF', hostPID: false, maps: 'write', init: true },
    ],
    [
      'netfilter, whatever is allowed',
      { allowEbpf: true, ctMode: 'netfilter' },
      CILIUM,
      { caps: 'NET_ADMIN', hostPID: false, maps: false, init: true },
    ],
    ['netfilter', { ctMode: 'netfilter' }, CILIUM, { caps: 'NET_ADMIN', hostPID: false, maps: false, init: true }],
    ['Cilium', { ctMode: 'cilium' }, [], { caps: 'NET_ADMIN BPF', hostPID: false, maps: true, init: false }],
    [
      'Cilium by a flag',
      { extraArgs: { 'ct-mode': 'cilium' } },
      [],
      { caps: 'NET_ADMIN BPF', hostPID: false, maps: true, init: false },
    ],
    ['no init container', { skipInit: true }, [], { caps: 'NET_ADMIN', hostPID: false, maps: false, init: false }],
    [
      'a network of its own',
      OWN_NETWORK,
      [],
      { caps: 'NET_ADMIN SYS_ADMIN SYS_PTRACE', hostPID: true, maps: false, init: true },
    ],
    [
      'process 1 by a flag',
      { extraArgs: { 'host-pid': true } },
      [],
      { caps: 'NET_ADMIN SYS_ADMIN SYS_PTRACE', hostPID: true, maps: false, init: true },
    ],
    [
      'everything',
      { ...OWN_NETWORK, ctMode: 'cilium' },
      [],
      { caps: 'NET_ADMIN BPF SYS_ADMIN SYS_PTRACE', hostPID: true, maps: true, init: false },
    ],
    [
      'a list of their own',
      { containerSecurityContext: { capabilities: { add: ['NET_ADMIN', 'SYSLOG'] } } },
      [],
      { caps: 'NET_ADMIN SYSLOG', hostPID: false, maps: false, init: true },
    ],
  ])('%s', async (_, collector, apiVersions, { caps, hostPID, maps, init }) => {
    const daemonSet = find(await render({ values: { collector }, apiVersions }), 'DaemonSet', 'egressd');
    const [spec, { securityContext, args = [], volumeMounts }] = [podSpec(daemonSet), container(daemonSet)];
    expect(securityContext).toMatchObject({
      capabilities: { add: caps.split(' '), drop: ['ALL'] },
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsUser: 0,
    });
    expect(spec.hostPID).toBe(hostPID);
    // Reading through process 1 takes both the flag and the right.
    expect(args.some((arg) => /^-host-pid(=true)?$/.test(arg))).toBe(hostPID);
    const mountOf = (path: string) => volumeMounts!.find(({ mountPath }) => mountPath === path);
    expect(mountOf('/sys/fs/bpf') !== undefined && (mountOf('/sys/fs/bpf')!.readOnly || 'write')).toBe(maps);
    // A program is attached to a folder that is opened for reading.
    expect(mountOf('/host/cgroup')?.readOnly).toBe(maps === 'write' ? true : undefined);
    expect(spec.initContainers?.length ?? 0).toBe(init ? 1 : 0);
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.hostIPC ?? false).toBe(false);
  });

  test('the init container has no capability at all, and one folder of the node', async () => {
    const [init] = podSpec(find(await render(), 'DaemonSet')).initContainers!;
    expect(init!.securityContext).toEqual({
      runAsUser: 0,
      runAsNonRoot: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(init!.volumeMounts).toEqual([{ name: 'netfilter', mountPath: '/hostproc/sys/net/netfilter' }]);
    const values = { collector: { initSecurityContext: { privileged: true } } };
    const [privileged] = podSpec(find(await render({ values }), 'DaemonSet')).initContainers!;
    expect(privileged!.securityContext).not.toHaveProperty('allowPrivilegeEscalation');
  });
});

test('what counting by eBPF leaves on nodes is removed by an uninstall: on each node, without any capability', async () => {
  const cleanup = (await render({ values: { collector: { ctMode: 'ebpf' } } })).filter(({ metadata }) =>
    metadata.name.endsWith('-cleanup'),
  );
  expect(cleanup.map(({ kind }) => kind).sort()).toEqual(['DaemonSet', 'Job']);
  const collector = podSpec(find(await render({ values: { collector: { ctMode: 'ebpf' } } }), 'DaemonSet', 'egressd'));
  for (const one of cleanup) {
    expect(one.metadata.annotations).toMatchObject({
      'helm.sh/hook': 'pre-delete',
      'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
    });
    const { containers, volumes, tolerations, nodeSelector, affinity } = podsOf(one)!;
    expect(containers[0]).toMatchObject({ args: ['-cleanup', expect.stringMatching(/^-cleanup-wait=/)] });
    expect(containers[0]!.securityContext!.capabilities).toEqual({ drop: ['ALL'] });
    expect(volumes).toEqual([{ name: 'bpf', hostPath: { path: '/sys/fs/bpf', type: 'DirectoryOrCreate' } }]);
    expect({ tolerations, nodeSelector, affinity }).toEqual({
      tolerations: collector.tolerations,
      nodeSelector: collector.nodeSelector,
      affinity: collector.affinity,
    });
  }
  expect((await render()).filter(({ metadata }) => metadata.name.endsWith('-cleanup'))).toEqual([]);
});

/** What the restricted Pod Security Standard forbids in a pod (https://kubernetes.io/docs/concepts/security/pod-security-standards/). */
function breaches(pods: IPodSpec): string[] {
  const { hostNetwork, hostPID, hostIPC, securityContext = {}, volumes = [], containers, initContainers = [] } = pods;
  const allowed = [
    'configMap',
    'csi',
    'downwardAPI',
    'emptyDir',
    'ephemeral',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ];
  const kinds = volumes.flatMap(({ name: _, ...source }) => Object.keys(source));
  return [
    ...(hostNetwork || hostPID || hostIPC ? ['a namespace of the node'] : []),
    ...kinds.filter((kind) => !allowed.includes(kind)),
    ...(securityContext.runAsNonRoot === true && securityContext.runAsUser !== 0 ? [] : ['root']),
    ...(securityContext.seccompProfile?.type === 'RuntimeDefault' ? [] : ['seccomp']),
    ...[...containers, ...initContainers].flatMap(containerBreaches),
  ];
}

function containerBreaches({ securityContext = {}, ports = [] }: IContainer): string[] {
  const {
    allowPrivilegeEscalation,
    privileged,
    capabilities = {},
    runAsNonRoot,
    runAsUser,
    procMount,
  } = securityContext;
  return [
    ...(allowPrivilegeEscalation === false ? [] : ['escalation']),
    ...(privileged ? ['privileged'] : []),
    ...(capabilities.drop?.includes('ALL') && capabilities.add === undefined ? [] : ['capabilities']),
    ...(runAsNonRoot === false || runAsUser === 0 ? ['root'] : []),
    ...(procMount === undefined ? [] : ['procMount']),
    ...(ports.some(({ hostPort }) => hostPort !== undefined) ? ['a port of the node'] : []),
  ];
}

describe('all but the collector', () => {
  let objects: KubeObject[];
  beforeAll(async () => {
    objects = await render();
  });

  test('keeps to the restricted Pod Security Standard', () => {
    const others = objects.filter((object) => podsOf(object) !== undefined && object.kind !== 'DaemonSet');
    expect(others.map(({ kind }) => kind).sort()).toEqual(['CronJob', 'Deployment', 'Job', 'Pod']);
    for (const object of others) expect(breaches(podsOf(object)!)).toEqual([]);
    // The check itself: the collector cannot keep to it.
    expect(breaches(podSpec(find(objects, 'DaemonSet')))).toEqual(
      expect.arrayContaining(['a namespace of the node', 'hostPath', 'root', 'capabilities']),
    );
  });

  test('has a read-only root file system and no CPU limit', () => {
    for (const object of objects) {
      for (const { securityContext, resources } of podsOf(object)?.containers ?? []) {
        expect(securityContext?.readOnlyRootFilesystem).toBe(true);
        expect(resources?.limits).not.toHaveProperty('cpu');
        expect(resources?.limits).toHaveProperty('memory');
      }
    }
  });

  test('certificates: who stays may read and change three Secrets, who installs may make Secrets too', () => {
    const names = ['egressd-ca', 'egressd-exporter-tls', 'egressd-collector-tls'];
    const named = { apiGroups: [''], resources: ['secrets'], resourceNames: names, verbs: ['get', 'update'] };
    const creation = { apiGroups: [''], resources: ['secrets'], verbs: ['create'] };
    expect(find(objects, 'Role', '-certificates').rules).toEqual([named]);
    const hook = find(objects, 'Role', '-hook');
    expect(hook.rules).toEqual([named, creation]);
  });

  test('nothing of what makes certificates stays: not after an upgrade, and nothing at all after an uninstall', () => {
    const hooks = objects.filter(({ metadata }) => metadata.name.endsWith('-hook'));
    expect(hooks.map(({ kind }) => kind).sort()).toEqual(['Job', 'Role', 'RoleBinding', 'ServiceAccount']);
    for (const { kind, metadata } of hooks) {
      // Helm 3 keeps the rights where the Job has failed: they are made once more to be deleted.
      const events = kind === 'Job' ? 'pre-install,pre-upgrade' : 'pre-install,pre-upgrade,post-delete';
      expect(metadata.annotations).toMatchObject({
        'helm.sh/hook': events,
        'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
      });
    }
    // One that failed stays for a while, with its log.
    expect(find(objects, 'Job', '-hook').spec).toMatchObject({ ttlSecondsAfterFinished: 3600 });
  });

  test('a Job that fails does so soon, and its cause is shown', () => {
    const job = find(objects, 'Job', '-hook');
    expect(job.metadata?.annotations).toMatchObject({ 'helm.sh/hook-output-log-policy': 'hook-failed' });
    expect(job.spec).toMatchObject({ backoffLimit: 1 });
    for (const one of [job, find(objects, 'CronJob')])
      expect(podsOf(one as KubeObject)!.containers[0]).toMatchObject({
        terminationMessagePolicy: 'FallbackToLogsOnError',
      });
  });

  test('only these two have a right on Secrets, and no rule has a wildcard', () => {
    const roles = objects.filter(({ kind }) => kind.endsWith('Role')) as (KubeObject & {
      rules: { resources: string[] }[];
    })[];
    expect(roles.filter(({ rules }) => JSON.stringify(rules).includes('secrets'))).toHaveLength(2);
    expect(JSON.stringify(roles)).not.toContain('*');
  });
});

describe('the policy of the exporter', () => {
  const httpPeers = async (exporter: object) =>
    find(await render({ values: { exporter } }), 'NetworkPolicy').spec!.ingress![1]!.from;
  const SINK = { structuredConfig: { sinks: { a: { stdout: {} } } } };
  const HERE = { podSelector: {} };
  const MONITORING = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } };

  test.each<[string, object, object[]]>([
    ['traffic at /metrics is for this namespace', {}, [HERE]],
    ['numbers about the exporter are for the cluster', SINK, [HERE, { namespaceSelector: {} }]],
    [
      'also where a Secret holds the configuration',
      { existingSecretForConfig: 's' },
      [HERE, { namespaceSelector: {} }],
    ],
    ['traffic that is asked for', { structuredConfig: { ...SINK.structuredConfig, metrics: { flows: true } } }, [HERE]],
    [
      'traffic that is not shown',
      { structuredConfig: { metrics: { flows: false } } },
      [HERE, { namespaceSelector: {} }],
    ],
    ['who is named', { networkPolicy: { httpFrom: [MONITORING] } }, [HERE, MONITORING]],
    ['no other pods', { ...SINK, networkPolicy: { httpFrom: [] } }, [HERE]],
  ])('%s', async (_, exporter, peers) => {
    expect(await httpPeers(exporter)).toEqual(peers);
  });

  test('collectors come from anywhere, or from the named ranges', async () => {
    const streams = async (networkPolicy: object) =>
      find(await render({ values: { exporter: { networkPolicy } } }), 'NetworkPolicy').spec!.ingress![0]!;
    expect(await streams({})).toEqual({ ports: [{ port: 'grpc', protocol: 'TCP' }] });
    expect((await streams({ collectorCIDRs: ['10.0.0.0/8'] })).from).toEqual([{ ipBlock: { cidr: '10.0.0.0/8' } }]);
  });
});
