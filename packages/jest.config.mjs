// Tiers by file name: *.test.ts needs no root; *.kernel.test.ts a kernel and root; *.cluster.test.ts whole daemons, databases,
// charts and images too, and whatever takes its time.
export default {
  rootDir: '.',
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/lab/setup/strip-types.mjs' },
  testMatch: ['<rootDir>/*/src/**/*.test.ts'],
  testTimeout: 30_000,
};
