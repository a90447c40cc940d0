// What each verb needs, and what it runs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './say.mjs';
import { NODE, ROOT } from './workspace.mjs';

/** The libraries that the collector reads conntrack and Cilium's maps with, by their Debian names. */
const LIBRARIES = ['libnetfilter-conntrack3', 'libbpf1'];
/** What compiles our BPF programs: `build-bpf.mjs`. */
const BPF_COMPILER = ['clang', 'llvm', 'libbpf-dev', 'libc6-dev'];
/** What the lab builds its world with. */
const WORLD = [...LIBRARIES, ...BPF_COMPILER, 'conntrack', 'iproute2', 'iputils-ping', 'nftables', 'openssl', 'procps'];
const COMPILER = ['gcc', 'libc6-dev', 'libbpf-dev'];
/** Shows the daemons another time than the machine's: for `npm run truth`. */
const FAKE_CLOCK = 'libfaketime';
/** What builds images and runs containers without a daemon of its own, and makes the Debian that they are built in. */
const CONTAINERS = ['buildah', 'debootstrap', 'netavark', 'podman', 'runc', 'util-linux'];
/** What draws a page and makes the picture small: for `npm run picture`. */
const BROWSER = ['chromium', 'fonts-inter', 'pngquant'];
/** What boots another kernel. What runs there is unpacked, not installed: `machine.mjs`. */
const MACHINE = ['kmod', 'qemu-system-x86', 'xz-utils'];
const DATABASES = ['prometheus', 'victoria-metrics'];

const NODE_FLAGS = ['--conditions=source', '--disable-warning=ExperimentalWarning'];

/** A program of the workspace, run from its sources. */
const program = (file, args, flags = []) => ({
  command: NODE,
  args: [...NODE_FLAGS, ...flags, `packages/${file}`, ...args],
});

/**
 * A daemon, as its `package.json` has it. V8's young generation grows by itself with every burst of work and never shrinks: held small,
 * both daemons take much less memory in the same time, and less again where their threads share the arenas of malloc(3).
 * The collector's garbage is collected soon (`--memory-saver-mode`): V8 would let it grow to a multiple of what lives, over hours.
 * `npm run bench` shows what they take. SIGUSR1 would open Node's inspector, which lets every process of the machine run code in them.
 */
const daemon = (name, args) => {
  const { nodeFlags, nodeEnvironment } = JSON.parse(readFileSync(join(ROOT, `packages/${name}/package.json`), 'utf8'));
  const { command, args: words } = program(`${name}/src/main.ts`, args, nodeFlags);
  const settings = Object.entries(nodeEnvironment).map((setting) => setting.join('='));
  return { command: 'env', args: [...settings, command, ...words] };
};

const needsRoot = (what) => `${what} needs root: it makes network namespaces. Run it as root`;

/** The value of an option, given as `--option VALUE` or `--option=VALUE`. */
function optionOf(args, option) {
  const at = args.indexOf(option);
  return at < 0 ? args.find((word) => word.startsWith(`${option}=`))?.slice(option.length + 1) : args[at + 1];
}

/** By tier: which files, and how they may run. */
const TIERS = {
  unit: [
    '--testMatch=**/src/**/*.test.ts',
    '--testMatch=!**/*.{kernel,system,chart,receivers}.test.ts',
    '--maxWorkers=100%',
  ],
  kernel: ['--testMatch=**/src/**/*.kernel.test.ts', '--runInBand'],
  system: ['--testMatch=**/src/**/*.system.test.ts', '--runInBand'],
  chart: ['--testMatch=**/src/**/*.chart.test.ts', '--runInBand'],
};
/** Runs where it is named alone: its receivers are in no distribution, `otlp-receivers.sh` builds them. */
const BY_NAME = { receivers: ['--testMatch=**/src/**/*.receivers.test.ts', '--runInBand'] };

/** `test [unit|kernel|system|chart|receivers] [arguments of jest]`: all tiers but the last where none is named. */
function test(args) {
  const files = { ...TIERS, ...BY_NAME };
  const named = args[0] !== undefined && Object.hasOwn(files, args[0]);
  const tiers = named ? [args[0]] : Object.keys(TIERS);
  // Ours come last: jest takes the words after an option like testMatch for more of its values.
  const own = named ? args.slice(1) : args;
  // A name that is in one tier only is not missing from the others.
  const lenient = !named && args.length > 0 ? ['--passWithNoTests'] : [];
  const steps = tiers.map((tier) => ({
    title: `tests: ${tier}`,
    command: NODE,
    args: [
      ...[
        '--experimental-vm-modules',
        ...NODE_FLAGS,
        'node_modules/jest/bin/jest.js',
        '-c',
        'packages/jest.config.mjs',
      ],
      ...own,
      ...lenient,
      ...files[tier],
    ],
  }));
  if (tiers.join() === 'unit') return { steps };
  const root = `${needsRoot(named ? `the ${tiers[0]} tier` : 'npm test')}, or run \`npm test -- unit\``;
  return {
    root,
    packages: [...WORLD, ...COMPILER, ...(tiers.includes('system') ? CONTAINERS : []), 'shellcheck'],
    binaries: DATABASES,
    kubernetes: tiers.includes('system') || tiers.includes('chart'),
    steps,
  };
}

/** Nothing but reads: format and lint, types, and whether the contract and its generated code are as they should be. */
function check(args) {
  if (args.length > 0) throw new SetupError('check takes no arguments', 2);
  const step = (title, command, ...rest) => ({ title: `check: ${title}`, command, args: rest });
  // Left to itself it paints into files too.
  const colors = `--colors=${process.stdout.isTTY ? 'force' : 'off'}`;
  return {
    steps: [
      { ...step('format and lint', 'biome', 'ci', '--error-on-warnings', colors, '.'), cwd: 'packages' },
      step('types', 'tsc', '-p', 'packages/tsconfig.json'),
      step('contract: lint', 'buf', 'lint'),
      step(
        'contract: breaking changes against the released one',
        'buf',
        'breaking',
        '--against',
        'proto/released.binpb',
      ),
      step('contract: generated code', NODE, 'packages/tools/setup/check-generated.mjs'),
    ],
  };
}

/** By name: arguments -> what to ensure and which commands to run. `root`: what to say to a user who is not root. */
export const VERBS = {
  demo: (args) => ({
    root: needsRoot('the demo'),
    packages: args.includes('--images') ? [...WORLD, ...CONTAINERS] : WORLD,
    kubernetes: args.includes('--images'),
    binaries: ['victoria-metrics'],
    steps: [program('tools/src/demo/main.ts', args)],
  }),
  test,
  truth: (args) => ({
    root: needsRoot('the proof'),
    packages: [...WORLD, FAKE_CLOCK],
    binaries: ['victoria-metrics'],
    steps: [program('tools/src/truth/main.ts', args)],
  }),
  siege: (args) => ({
    root: needsRoot('the siege'),
    packages: WORLD,
    binaries: ['victoria-metrics'],
    steps: [program('tools/src/siege/main.ts', args)],
  }),
  worlds: (args) => ({
    root: needsRoot('another kernel'),
    packages: [...WORLD, ...MACHINE],
    machine: optionOf(args, '--kernel') ?? '6.1',
    steps: [program('tools/src/worlds/main.ts', args)],
  }),
  bench: (args) => ({
    root: needsRoot('the bench'),
    packages: [...WORLD, ...COMPILER],
    steps: [program('tools/src/bench/main.ts', args)],
  }),
  check,
  build: (args) => ({
    packages: BPF_COMPILER,
    steps: [{ command: NODE, args: ['packages/tools/setup/build-dist.mjs', ...args] }],
  }),
  images: (args) => ({
    root: 'images are built as root: run it as root',
    packages: CONTAINERS,
    steps: [program('tools/src/images/main.ts', args)],
  }),
  soak: (args) => ({
    root: needsRoot('the soak'),
    packages: WORLD,
    binaries: ['victoria-metrics'],
    steps: [program('tools/src/soak/main.ts', args)],
  }),
  docs: (args) => {
    if (args.length > 0) throw new SetupError('docs takes no arguments', 2);
    return { steps: [program('tools/src/docs/write.ts', [])] };
  },
  'cloud-ranges': (args) => ({ steps: [program('tools/src/cloud-ranges/main.ts', args)] }),
  picture: (args) => {
    if (args.length > 0) throw new SetupError('picture takes no arguments', 2);
    return {
      root: needsRoot('the picture'),
      packages: [...WORLD, ...BROWSER],
      binaries: ['victoria-metrics'],
      steps: [program('tools/src/picture/main.ts', [])],
    };
  },
  fuzz: (args) => ({ steps: [program('tools/src/fuzz/main.ts', args)] }),
  collector: (args) => ({
    packages: LIBRARIES,
    steps: [daemon('collector', args)],
  }),
  exporter: (args) => ({ steps: [daemon('exporter', args)] }),
};
