#!/usr/bin/env bash
# egressd on a cluster of yours, with something to see: builds the images, and installs the chart, a VictoriaMetrics, a Grafana with
# the overview, and a small shop that talks to itself.
#
#   deploy/demo.sh --load kind            build, load into a kind cluster (kind:NAME, k3d:NAME, minikube too), install
#   deploy/demo.sh --push REGISTRY        build, push to REGISTRY/egressd-collector and REGISTRY/egressd-exporter, install from there
#   deploy/demo.sh --from REGISTRY        install what was pushed there before
#   deploy/demo.sh --print [--load ...]   print what would be applied, and do nothing
#   deploy/demo.sh --down                 remove all of it
#
# --context NAME chooses the cluster as kubectl does. Everything but the shop goes into the namespace egressd-demo, the shop into
# egressd-demo-shop.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
namespace=egressd-demo
shop=egressd-demo-shop
tag=demo
load='' registry='' build=no print=no down=no context=()

say() { printf 'demo: %s\n' "$*" >&2; }
fail() { say "$1"; exit "${2:-1}"; }
usage() { sed -n '5,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case "$1" in
    --load | --push | --from | --context)
      [ $# -ge 2 ] || fail "$1 needs a value" 2
      case "$1" in
        --load) load=$2 build=yes ;;
        --push) registry=$2 build=yes ;;
        --from) registry=$2 ;;
        --context) context=("$2") ;;
      esac
      shift 2
      ;;
    --print) print=yes; shift ;;
    --down) down=yes; shift ;;
    *) usage ;;
  esac
done
[ "$down" = yes ] || [ -n "$load" ] || [ -n "$registry" ] || usage
[ -z "$load" ] || [ -z "$registry" ] || fail '--load and --push exclude each other' 2

need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: $2"; }
kube() { kubectl ${context[@]+--context "${context[0]}"} "$@"; }
helm_() { helm ${context[@]+--kube-context "${context[0]}"} "$@"; }

# What builds images: the first that is there.
builder() {
  local one
  for one in docker podman; do command -v "$one" >/dev/null 2>&1 && { echo "$one"; return; }; done
  fail 'neither docker nor podman is here: build elsewhere with --push, and use --from here'
}

# How a daemon's image is called in the cluster.
repository() { echo "${registry:+$registry/}egressd-$1"; }

# Podman puts images without a registry under localhost/.
build_images() {
  local tool daemon
  tool=$(builder)
  for daemon in collector exporter; do
    say "building $(repository "$daemon"):$tag"
    "$tool" build --quiet --file "$root/Dockerfile.$daemon" --tag "$(repository "$daemon"):$tag" \
      --build-arg "COMMIT=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)" "$root" >&2
    [ -z "$registry" ] || "$tool" push "$(repository "$daemon"):$tag" >&2
  done
  [ -z "$load" ] || load_images "$tool"
}

load_images() {
  local tool=$1 name=${load#*:} archive
  archive=$(mktemp -d)
  # shellcheck disable=SC2064 # it is to go, whatever the variable says then
  trap "rm -rf '$archive'" EXIT
  for daemon in collector exporter; do
    "$tool" save --output "$archive/$daemon.tar" "$(repository "$daemon"):$tag" >&2
    case "$load" in
      kind) kind load image-archive "$archive/$daemon.tar" >&2 ;;
      kind:*) kind load image-archive "$archive/$daemon.tar" --name "$name" >&2 ;;
      k3d:*) k3d image import "$archive/$daemon.tar" --cluster "$name" >&2 ;;
      minikube) minikube image load "$archive/$daemon.tar" >&2 ;;
      *) fail "--load $load: expected kind, kind:NAME, k3d:NAME or minikube" 2 ;;
    esac
  done
}

# How the chart is installed; the same for a real installation and for --print.
chart_values() {
  local daemon prefix=''
  # Podman's archives call them so.
  [ -z "$load" ] || [ "$build" = no ] || { [ "$(builder)" = podman ] && prefix=localhost/; } || true
  echo --values "$here/demo/values.yaml"
  for daemon in collector exporter; do
    echo --set "$daemon.image.repository=$prefix$(repository "$daemon"),$daemon.image.tag=$tag"
  done
}

dashboards() {
  kubectl create configmap egressd-dashboards --dry-run=client --output yaml --namespace "$namespace" \
    --from-file "$here/chart/egressd/dashboards/egressd-overview.json"
}

# Collectors share the network of their nodes, which clusters that enforce Pod Security Standards allow by a label only.
namespaces() {
  cat <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels: { pod-security.kubernetes.io/enforce: privileged }
---
apiVersion: v1
kind: Namespace
metadata:
  name: $shop
YAML
}

remove() {
  helm_ uninstall egressd --namespace "$namespace" --wait 2>/dev/null || true
  kube delete namespace "$namespace" "$shop" --ignore-not-found
  say 'removed; the collectors left their state in /var/lib/egressd/collector of each node'
}

print_all() {
  local values
  # shellcheck disable=SC2207 # no value has blanks in it
  values=($(chart_values))
  namespaces
  for file in database grafana; do printf -- '---\n# namespace: %s\n' "$namespace"; cat "$here/demo/$file.yaml"; done
  printf -- '---\n# namespace: %s\n' "$shop"
  cat "$here/demo/shop.yaml"
  echo '---'
  dashboards
  helm template egressd "$here/chart/egressd" --namespace "$namespace" "${values[@]}"
}

install() {
  local values
  [ "$build" = no ] || build_images
  # shellcheck disable=SC2207 # as above
  values=($(chart_values))
  namespaces | kube apply --filename - >&2
  dashboards | kube apply --filename - >&2
  kube apply --namespace "$namespace" --filename "$here/demo/database.yaml" --filename "$here/demo/grafana.yaml" >&2
  kube apply --namespace "$shop" --filename "$here/demo/shop.yaml" >&2
  helm_ upgrade --install egressd "$here/chart/egressd" --namespace "$namespace" --wait --timeout 5m "${values[@]}" >&2
  kube rollout status --namespace "$namespace" deployment/grafana deployment/victoria-metrics --timeout 5m >&2
  cat >&2 <<TXT
demo: it runs. The first numbers come within half a minute.
  kubectl --namespace $namespace port-forward service/grafana 3000        then open http://localhost:3000
  kubectl --namespace $namespace port-forward service/victoria-metrics 8428   the database: http://localhost:8428/vmui
  helm test egressd --namespace $namespace                                whether collectors stream and counters move
  deploy/demo.sh --down                                                       removes all
TXT
}

need kubectl 'it is how the cluster is reached'
need helm 'version 3.8 or newer'
if [ "$down" = yes ]; then
  remove
elif [ "$print" = yes ]; then
  print_all
else
  kube version >/dev/null 2>&1 || fail 'kubectl reaches no cluster: see kubectl config get-contexts, and --context'
  install
fi
