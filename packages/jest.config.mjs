// Tiers by file name: *.test.ts needs no root; *.kernel.test.ts a kernel and root; *.system.test.ts whole daemons, databases and
// images, and whatever takes its time; *.chart.test.ts Helm, dashboards and alerts; *.receivers.test.ts
// receivers that have to be built first.
export default {
  rootDir: '.',
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/tools/setup/strip-types.mjs' },
  testMatch: ['<rootDir>/*/src/**/*.test.ts'],
  testTimeout: 30_000,
};
