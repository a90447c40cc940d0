#!/usr/bin/env bash
# Changing a Deployment's strategy to Recreate by server-side apply, where the manifest before said nothing of a strategy.
# k8s.io/apimachinery, api and client-go 0.36.3: the merge that kube-apiserver 1.36 does. Needs Go 1.26 and the network; minutes at first.
# guessed: the new manifest's `strategy: {type: Recreate}` replaces what the API server had filled in by default.
# seen 2026-11-28: the default's rollingUpdate is nobody's field and stays, so Recreate stands beside it, which validation forbids;
# taking it back is refused as well. RollingUpdate with maxSurge 0 is taken, and Recreate after that, since those fields are the applier's.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cat >"$T/main.go" <<'END'
// Applies manifests of a Deployment one after the other. Of the server's defaults and checks the two that matter are here
// (SetDefaults_Deployment, ValidateDeploymentStrategy); the merge is the server's own package.
package main

import (
	"fmt"
	"os"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

type defaults struct{}

func (defaults) Default(object runtime.Object) {
	strategy := &object.(*apps.Deployment).Spec.Strategy
	if strategy.Type == "" {
		strategy.Type = apps.RollingUpdateDeploymentStrategyType
	}
	if strategy.Type == apps.RollingUpdateDeploymentStrategyType && strategy.RollingUpdate == nil {
		quarter := intstr.FromString("25%")
		strategy.RollingUpdate = &apps.RollingUpdateDeployment{MaxUnavailable: &quarter, MaxSurge: &quarter}
	}
}

func main() {
	kind := apps.SchemeGroupVersion.WithKind("Deployment")
	manager, err := managedfields.NewDefaultFieldManager(applyconfigurations.NewTypeConverter(scheme.Scheme), scheme.Scheme,
		defaults{}, scheme.Scheme, kind, apps.SchemeGroupVersion, "", nil)
	if err != nil {
		panic(err)
	}
	live := &apps.Deployment{}
	live.SetGroupVersionKind(kind)
	for _, spec := range os.Args[1:] {
		patch := &unstructured.Unstructured{}
		text := "{apiVersion: apps/v1, kind: Deployment, metadata: {name: exporter, namespace: default}, spec: " + spec + "}"
		if err := yaml.Unmarshal([]byte(text), &patch.Object); err != nil {
			panic(err)
		}
		merged, err := manager.Apply(live, patch, "helm", false)
		if err != nil {
			panic(err)
		}
		next := merged.(*apps.Deployment)
		if strategy := next.Spec.Strategy; strategy.Type == apps.RecreateDeploymentStrategyType && strategy.RollingUpdate != nil {
			fmt.Println("forbidden: Recreate beside rollingUpdate")
			continue
		}
		live = next
		fmt.Println("taken:", next.Spec.Strategy.Type)
	}
}
END
cd "$T"
export GOFLAGS=-mod=mod
{
  go mod init finding
  go get k8s.io/api@v0.36.3 k8s.io/apimachinery@v0.36.3 k8s.io/client-go@v0.36.3 sigs.k8s.io/yaml@v1.6.0
  go build -o finding .
} >"$T/build.log" 2>&1 || { cat "$T/build.log"; exit 1; }
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}
none='{replicas: 1}' recreate='{replicas: 1, strategy: {type: Recreate}}'
replace='{replicas: 1, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}}'
line() { sed -n "$1p" "$T/out"; }
./finding "$none" "$recreate" "$replace" "$recreate" "$none" >"$T/out"
expect "no strategy" "$(line 1)" "taken: RollingUpdate"
expect "then Recreate" "$(line 2)" "forbidden: Recreate beside rollingUpdate"
expect "then RollingUpdate with maxSurge 0" "$(line 3)" "taken: RollingUpdate"
expect "then Recreate" "$(line 4)" "taken: Recreate"
expect "then no strategy again" "$(line 5)" "taken: RollingUpdate"
