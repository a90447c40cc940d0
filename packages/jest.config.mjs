// Tiers by file name: *.test.ts needs no root; *.kernel.test.ts a kernel and root; *.cluster.test.ts whole daemons and databases too.
export default {
  rootDir: '.',
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/lab/setup/strip-types.mjs' },
  testMatch: ['<rootDir>/*/src/**/*.test.ts'],
  testTimeout: 30_000,
};
