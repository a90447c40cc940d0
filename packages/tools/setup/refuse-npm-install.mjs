// A bare `npm install` would write a lock file of its own beside pnpm's: refuse by name, and say what to type instead.
const agent = process.env.npm_config_user_agent ?? '';
if (!agent.startsWith('pnpm/')) {
  console.error('egressd: do not run `npm install`. Type what you want instead, it installs what it needs:');
  console.error('  npm run demo   npm test   npm run bench   npm run check   npm run collector   npm run exporter');
  console.error('  npm run truth   npm run images');
  process.exit(1);
}
