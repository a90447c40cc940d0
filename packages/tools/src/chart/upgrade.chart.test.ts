import { describe, expect, test } from '@jest/globals';
import { find, type KubeObject, render } from './helm.ts';
import { valuesOf } from './values-files.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * The strategy of the exporter's Deployment once the public chart castai/egressd 0.1.43 is installed: the chart names none, so these are
 * the API server's defaults (SetDefaults_Deployment in kubernetes/pkg/apis/apps/v1/defaults.go), and no applier owns them.
 */
const BEFORE: Fields = { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } };

/** Server-side apply: a field that is applied replaces the one that is there, and one that no applier owns stays. */
function apply(live: Fields, applied: Fields): Fields {
  const merged = Object.entries(applied).map(([key, value]) => {
    const both = isFields(live[key]) && isFields(value);
    return [key, both ? apply(live[key] as Fields, value as Fields) : value];
  });
  return { ...live, ...Object.fromEntries(merged) };
}

function isFields(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** ValidateDeploymentStrategy in kubernetes/pkg/apis/apps/validation/validation.go. @returns why it is refused */
function refusal({ type, rollingUpdate = {} }: Fields): string | undefined {
  if (type === 'Recreate' && Object.keys(rollingUpdate as Fields).length > 0) {
    return "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'";
  }
  const { maxSurge, maxUnavailable } = rollingUpdate as Fields;
  return maxSurge === 0 && maxUnavailable === 0 ? 'maxUnavailable: may not be 0 when maxSurge is 0' : undefined;
}

async function strategy(values: unknown): Promise<Fields> {
  return find(await render({ values }), 'Deployment').spec!.strategy as Fields;
}

describe('from the public chart, by server-side apply', () => {
  test.each(['default', 'prometheus-only', 'saas-values', 'saas-secrets', 'structured-config', 'existing-secret'])(
    'the exporter changes its strategy as the API server allows: %s',
    async (name) => {
      const merged = apply(BEFORE, await strategy(valuesOf(name)));
      expect(refusal(merged)).toBeUndefined();
      // The old pod is asked to end first: a second one never comes on top.
      expect(merged).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
    },
  );

  test('the check sees what was refused', () => {
    expect(refusal(apply(BEFORE, { type: 'Recreate' }))).toContain('Forbidden');
  });
});

describe('a claim that exists, by server-side apply', () => {
  const withClaim = { exporter: { state: { persistent: true, existingClaim: 'mine' } } };

  test('in the upgrade from the public chart it is refused, as UPGRADE says', async () =>
    expect(refusal(apply(BEFORE, await strategy(withClaim)))).toContain('Forbidden'));

  test('in a second upgrade it is not: what the first one applied is taken back', async () => {
    const first = await strategy({});
    const live = apply(BEFORE, first);
    // All that is there is applied by now: nothing is left of what nobody owned.
    expect(live).toEqual(first);
    expect(refusal(apply({}, await strategy(withClaim)))).toBeUndefined();
  });
});

test.each<[string, object, string]>([
  ['a volume of one node', {}, 'RollingUpdate'],
  ['a volume of many nodes, where no lock is seen by all', { accessModes: ['ReadWriteMany'] }, 'Recreate'],
  ['a claim that may be either', { existingClaim: 'mine' }, 'Recreate'],
  ['a claim that is not used', { persistent: false, existingClaim: 'mine' }, 'RollingUpdate'],
])('%s', async (_, state, type) => {
  expect((await strategy({ exporter: { state: { persistent: true, ...state } } })).type).toBe(type);
});

test('two releases of one name in two namespaces share no object of the cluster', async () => {
  const ofCluster = async (namespace: string) => {
    const isOfCluster = ({ kind, metadata }: KubeObject) => metadata.namespace === undefined && kind !== 'List';
    return (await render({ namespace })).filter(isOfCluster).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  };
  const [one, other] = [await ofCluster('one'), await ofCluster('other')];
  expect(one.sort()).toEqual(['ClusterRole one:egressd-exporter', 'ClusterRoleBinding one:egressd-exporter']);
  expect(other.filter((name) => one.includes(name))).toEqual([]);
});
