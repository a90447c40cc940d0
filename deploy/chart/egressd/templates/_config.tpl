{{/*
The exporter's configuration: the template, structuredConfig over it, and the cluster's name on every series.
*/}}

{{- define "egressd.exporter.config" -}}
{{- $config := include "egressd.readYaml" (dict "text" (tpl (default "" .Values.exporter.config) .) "what" "exporter.config") | fromYaml -}}
{{- $over := include "egressd.readYaml" (dict "text" (tpl (toYaml (default dict .Values.exporter.structuredConfig)) .) "what" "exporter.structuredConfig") | fromYaml -}}
{{- $config = mergeOverwrite $config $over -}}
{{- if not $config.sinks }}{{ $_ := set $config "sinks" dict }}{{ end -}}
{{- if .Values.clusterName -}}
{{- range $name, $sink := $config.sinks -}}
{{- if and (kindIs "map" $sink) (kindIs "map" $sink.prom_remote_write) -}}
{{- $labels := default dict $sink.prom_remote_write.labels -}}
{{- if not (hasKey $labels "cluster") }}{{ $_ := set $sink.prom_remote_write "labels" (set $labels "cluster" $.Values.clusterName) }}{{ end -}}
{{- end -}}
{{- if and (kindIs "map" $sink) (kindIs "map" $sink.http) -}}
{{- $labels := default dict $sink.http.labels -}}
{{- if and (eq (toString $sink.http.encoding) "loki") (not (hasKey $labels "cluster")) }}{{ $_ := set $sink.http "labels" (set $labels "cluster" $.Values.clusterName) }}{{ end -}}
{{- end -}}
{{- if and (kindIs "map" $sink) (kindIs "map" $sink.otlp) -}}
{{- $attributes := default dict $sink.otlp.resourceAttributes -}}
{{- if not (hasKey $attributes "k8s.cluster.name") }}{{ $_ := set $sink.otlp "resourceAttributes" (set $attributes "k8s.cluster.name" $.Values.clusterName) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* A text that must be a map in YAML. @param text, what */}}
{{- define "egressd.readYaml" -}}
{{- $read := .text | fromYaml -}}
{{- if hasKey $read "Error" }}{{ fail (printf "%s is not a map in YAML, once its template is filled in: %s" .what $read.Error) }}{{ end -}}
{{ toYaml $read }}
{{- end }}

{{/* "true" where /metrics of the exporter may show the traffic, as far as the chart can see. */}}
{{- define "egressd.exporter.showsTraffic" -}}
{{- if .Values.exporter.existingSecretForConfig -}}
false
{{- else -}}
{{- $config := include "egressd.exporter.config" . | fromYaml -}}
{{- $metrics := default dict $config.metrics -}}
{{ ternary $metrics.flows (empty $config.sinks) (kindIs "bool" $metrics.flows) }}
{{- end -}}
{{- end }}
