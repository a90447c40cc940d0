import { describe, expect, test } from '@jest/globals';
import { renderText } from './helm.ts';

const KEY = { apiKey: 'k' };
const ID = { clusterID: 'id' };

/** What helm says of values that cannot be. */
async function refusal(values: unknown): Promise<string> {
  try {
    await renderText({ values });
  } catch (error) {
    return (error as Error).message;
  }
  return 'it renders';
}

describe('what is wrong in itself: the schema says where, and what would do', () => {
  test.each<[string, unknown, string[]]>([
    [
      'an unknown mode',
      { collector: { ctMode: 'pcap' } },
      ['/collector/ctMode', "one of '', 'netfilter', 'cilium', 'ebpf'"],
    ],
    ['a port out of range', { collector: { httpListenPort: 70_000 } }, ['/collector/httpListenPort', 'want 65,535']],
    ['a port as a text', { exporter: { httpListenPort: '6060' } }, ['/exporter/httpListenPort', 'want integer']],
    [
      'a tag as a number',
      { exporter: { image: { tag: 1.1 } } },
      ['/exporter/image/tag', 'got number, want null or string'],
    ],
    ['a digest that is none', { exporter: { image: { digest: 'latest' } } }, ['/exporter/image/digest', 'sha256:']],
    ['a configuration as a map', { exporter: { config: { sinks: {} } } }, ['/exporter/config', 'got object']],
    ['flags as a list', { collector: { extraArgs: ['-log-level=debug'] } }, ['/collector/extraArgs', 'got array']],
    ['a flag with its dash', { exporter: { extraArgs: { '-insecure': true } } }, ["invalid propertyName '-insecure'"]],
    ['a flag that is a list', { collector: { extraArgs: { x: [1] } } }, ['/collector/extraArgs/x', 'got array']],
    ['a stop that is too short', { collector: { terminationGracePeriodSeconds: 5 } }, ['got 5, want 15']],
    ['a folder that is no path', { collector: { state: { hostPath: 'state' } } }, ['/collector/state/hostPath']],
    ['a slip', { exporter: { state: { persistant: true } } }, ['/exporter/state', "'persistant' not allowed"]],
    ['a slip in tls', { tls: { enable: false } }, ['/tls', "'enable' not allowed"]],
    ['a schedule that is none', { tls: { job: { schedule: 'daily' } } }, ['/tls/job/schedule']],
    [
      'an issuer without a name',
      { tls: { certManager: { issuerRef: { kind: 'ClusterIssuer' } } } },
      ['/tls/certManager/issuerRef', 'name'],
    ],
    ['days', { tls: { job: { validity: '90d' } } }, ['/tls/job/validity']],
    ['a range that is none', { exporter: { networkPolicy: { collectorCIDRs: ['10.0.0.1'] } } }, ['/collectorCIDRs/0']],
    ['an address family', { exporter: { service: { ipFamilies: ['ipv6'] } } }, ["one of 'IPv4', 'IPv6'"]],
  ])('%s', async (_, values, expected) => {
    const said = await refusal(values);
    for (const part of expected) expect(said).toContain(part);
  });
});

describe('what is wrong together: the chart says what to do', () => {
  test.each<[string, unknown, string]>([
    [
      'two keys',
      { castai: { ...KEY, apiKeySecretRef: 's', ...ID } },
      'castai.apiKey and castai.apiKeySecretRef exclude each other',
    ],
    [
      'two ids',
      { castai: { ...KEY, ...ID, clusterIdSecretKeyRef: { name: 's', key: 'k' } } },
      'castai.clusterID and castai.clusterIdSecretKeyRef.name exclude each other',
    ],
    ['a key, and no id', { castai: KEY }, 'castai.apiKey needs castai.clusterID or castai.clusterIdSecretKeyRef.name'],
    [
      'a key, and counters',
      { castai: { ...KEY, ...ID }, collector: { extraArgs: { 'send-traffic-delta': false } } },
      'CAST AI takes deltas only',
    ],
    [
      'a key in a Secret, and counters',
      { castai: { apiKeySecretRef: 's', ...ID }, collector: { extraArgs: { 'send-traffic-delta': 'false' } } },
      'CAST AI takes deltas only',
    ],
    [
      'an image of the Go version',
      { exporter: { image: { repository: 'registry.example/castai/egressd/egressd-exporter' } } },
      'an image of the Go version, which this chart cannot run: leave exporter.image out',
    ],
    ['no network to read', { collector: { hostNetwork: false, hostPID: false } }, 'see only its own pod'],
    [
      'half of the Secrets',
      { tls: { existingSecrets: { exporter: 'a' } } },
      'set both exporter and collector, or none',
    ],
    [
      'two that make certificates',
      { tls: { existingSecrets: { exporter: 'a', collector: 'b' }, certManager: { enabled: true } } },
      'tls.existingSecrets and tls.certManager.enabled exclude each other',
    ],
    ['a configuration that is no YAML', { exporter: { config: 'sinks: [' } }, 'exporter.config is not a map in YAML'],
    ['a configuration that is a list', { exporter: { config: '- a' } }, 'exporter.config is not a map in YAML'],
  ])('%s', async (_, values, expected) => {
    expect(await refusal(values)).toContain(expected);
  });

  test.each<[string, unknown]>([
    [
      'a key whose URL needs no id',
      { castai: KEY, exporter: { config: 'sinks: { a: { http: { url: "https://a/b" } } }' } },
    ],
    ['a key, and a configuration of their own', { castai: KEY, exporter: { existingSecretForConfig: 's' } }],
    ['an id without a key', { castai: ID }],
    ['a key, and deltas', { castai: { ...KEY, ...ID }, collector: { extraArgs: { 'send-traffic-delta': true } } }],
    ['Cilium needs no network of the node', { collector: { hostNetwork: false, hostPID: false, ctMode: 'cilium' } }],
    [
      'nothing where there was a map',
      { collector: { extraArgs: null, podAnnotations: null, resources: null, podLabels: null } },
    ],
    [
      'nothing where there was a list',
      { exporter: { extraArgs: null, tolerations: null, resources: null, config: null } },
    ],
    ['no cluster id reference', { castai: { clusterIdSecretKeyRef: null } }],
  ])('and takes what can be: %s', async (_, values) => {
    expect(await refusal(values)).toBe('it renders');
  });
});
