import { expect, test } from '@jest/globals';
import { type Container, type Pod, PodUnsupported, runArguments, type Surroundings, type Volume } from './pod.ts';

const SURROUNDINGS: Surroundings = {
  network: '/run/netns/node-a',
  field: (path) => `the ${path}`,
  folder: ({ name }) => `/folders/${name}`,
};

/** What of the arguments is there on behalf of `container`: without what every pod has. */
function argumentsOf(container: Partial<Container>, pod: Partial<Pod> = {}, more: Partial<Surroundings> = {}): string {
  const whole = { name: 'one', image: 'IMAGE', ...container };
  const all = runArguments({ containers: [whole], ...pod }, whole, { ...SURROUNDINGS, ...more });
  return all.join(' ').replace('--network ns:/run/netns/node-a --stop-timeout 30 ', '');
}

const STATE: Volume = { name: 'state', hostPath: { path: '/var/lib/egressd' } };
const CONFIG: Volume = { name: 'config', configMap: { name: 'egressd' } };

test.each<[Partial<Container>, Partial<Pod>, string]>([
  [{}, {}, 'IMAGE'],
  [{ args: ['-a', '-b'] }, {}, 'IMAGE -a -b'],
  [{ command: ['node', '/app/x.js'], args: ['-a'] }, {}, '--entrypoint node IMAGE /app/x.js -a'],
  [{ securityContext: { runAsUser: 0 } }, {}, '--user 0 IMAGE'],
  [{}, { securityContext: { runAsUser: 7, runAsGroup: 8 } }, '--user 7:8 IMAGE'],
  [{ securityContext: { runAsUser: 9 } }, { securityContext: { runAsUser: 7 } }, '--user 9 IMAGE'],
  [{}, { securityContext: { fsGroup: 8 } }, '--group-add 8 IMAGE'],
  [{ securityContext: { readOnlyRootFilesystem: true } }, {}, '--read-only --read-only-tmpfs=false IMAGE'],
  [{ securityContext: { allowPrivilegeEscalation: false } }, {}, '--security-opt no-new-privileges IMAGE'],
  [
    { securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } } },
    {},
    '--cap-drop all --cap-add NET_ADMIN IMAGE',
  ],
  [{ resources: { limits: { memory: '64Mi' } } }, {}, '--memory 67108864 --memory-swap 67108864 IMAGE'],
  [{}, { hostPID: true }, '--pid host IMAGE'],
  [
    {
      env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
      args: ['-n=$(NODE_NAME)'],
    },
    {},
    '--env NODE_NAME=the spec.nodeName IMAGE -n=the spec.nodeName',
  ],
  [{ args: ['$(UNKNOWN) $$(X)'] }, {}, 'IMAGE $(UNKNOWN) $(X)'],
  [{ volumeMounts: [{ name: 'state', mountPath: '/s' }] }, { volumes: [STATE] }, '--volume /folders/state:/s IMAGE'],
  [
    { volumeMounts: [{ name: 'config', mountPath: '/c' }] },
    { volumes: [CONFIG] },
    '--volume /folders/config:/c:ro IMAGE',
  ],
])('%j of %j', (container, pod, expected) => {
  expect(argumentsOf(container, pod)).toBe(expected);
});

test.each<Partial<Container>>([
  { volumeMounts: [{ name: 'unknown', mountPath: '/n' }] },
  { env: [{ name: 'KEY', valueFrom: {} }] },
  { resources: { limits: { memory: 'much' } } },
])('what it cannot do it refuses: %j', (container) => {
  expect(() => argumentsOf(container)).toThrow(PodUnsupported);
});

test('the API server and a token, unless the pod wants no token', () => {
  const serviceAccount = { folder: '/sa', host: '127.0.0.1', port: 6443 };
  const server = '--env KUBERNETES_SERVICE_HOST=127.0.0.1 --env KUBERNETES_SERVICE_PORT=6443';
  const mount = '--volume /sa:/var/run/secrets/kubernetes.io/serviceaccount:ro';
  expect(argumentsOf({}, {}, { serviceAccount })).toBe(`${server} ${mount} IMAGE`);
  expect(argumentsOf({}, { automountServiceAccountToken: false }, { serviceAccount })).toBe(`${server} IMAGE`);
});

test('names of the cluster', () => {
  expect(argumentsOf({}, {}, { names: { 'a.b.svc': '10.0.0.1' } })).toBe('--add-host a.b.svc:10.0.0.1 IMAGE');
});
