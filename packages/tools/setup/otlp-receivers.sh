#!/usr/bin/env bash
# Builds what takes OTLP and is not in Debian, into .lab/receivers: Prometheus 3, VictoriaMetrics and an OpenTelemetry Collector, from their Go
# modules with Go 1.26. Takes ten minutes of two cores; system tests use what they find there.
set -euo pipefail
cd "$(dirname "$0")/../../.."
OUT=$PWD/.lab/receivers
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
mkdir -p "$OUT"

# build NAME PACKAGE VERSION
build() {
  mkdir "$T/$1"
  (
    cd "$T/$1"
    go mod init lab
    go get -tool "$2@$3"
    go mod tidy
    go build -ldflags='-s -w' -o "$OUT/$1" "$2"
  )
}
build victoria-metrics github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics v1.151.0
build prometheus github.com/prometheus/prometheus/cmd/prometheus v0.316.0

cat >"$T/collector.yaml" <<END
dist: {name: otelcol, version: 0.165.0, output_path: $T/collector}
receivers: [{gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.165.0}]
processors: [{gomod: go.opentelemetry.io/collector/processor/memorylimiterprocessor v0.165.0}]
exporters:
  - {gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v0.165.0}
  - {gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter v0.165.1}
  - {gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter v0.165.1}
providers:
  - {gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.71.0}
  - {gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v1.71.0}
END
go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 --config="$T/collector.yaml"
cp "$T/collector/otelcol" "$OUT/otelcol"
