{{/*
What NOTES.txt warns of: the usual mistakes, as far as the values show them.
*/}}

{{- define "egressd.notes" -}}
{{- $namespace := .Release.Namespace -}}
{{- if .Values.exporter.existingSecretForConfig }}
{{- include "egressd.notes.secret" . }}
{{- else }}
{{- include "egressd.notes.sinks" . }}
{{- end }}
{{- if not .Values.tls.enabled }}
- tls.enabled is false: the stream between collectors and exporter is plain text, anyone on the network path can read and change it.
{{- end }}
{{- with include "egressd.unknownValues" . | trim }}
- These values are none of this chart's and do nothing: {{ . }}
{{- end }}
{{- end }}

{{/* The chart cannot look into a Secret. */}}
{{- define "egressd.notes.secret" }}
- The configuration is in your Secret {{ .Values.exporter.existingSecretForConfig }}: restart the exporter when you change it.
{{- with .Values.clusterName }} clusterName is not put into it:
  give its prom_remote_write sinks the label yourself (labels: {cluster: {{ . }}}).
{{- end }}
{{- include "egressd.notes.delta" . }}
{{- include "egressd.notes.start" . }}
{{- end }}

{{- define "egressd.notes.sinks" }}
{{- $config := include "egressd.exporter.config" . | fromYaml }}
{{- $unnamed := list }}
{{- $writes := false }}
{{- range $name, $sink := $config.sinks }}
{{- if and (kindIs "map" $sink) (hasKey $sink "prom_remote_write") }}
{{- $writes = true }}
{{- if not (hasKey (default dict (default dict $sink.prom_remote_write).labels) "cluster") }}{{ $unnamed = append $unnamed $name }}{{ end }}
{{- end }}
{{- end }}
{{- if not $config.sinks }}
- There is no sink: the traffic is shown at /metrics of the exporter only, by pod, namespace, zone and protocol.
  exporter.structuredConfig.sinks sends it somewhere.
{{- if and .Values.exporter.networkPolicy.enabled (not (kindIs "slice" .Values.exporter.networkPolicy.httpFrom)) }} To let a Prometheus of another namespace in:
  --set-json 'exporter.networkPolicy.httpFrom=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]'
{{- end }}
{{- end }}
{{- with $unnamed }}
- Series of {{ join ", " . }} do not say which cluster they are from: with more than one cluster in a database they mix. Set clusterName.
{{- end }}
{{- with include "egressd.literalSecrets" $config | trim }}
- These look like secrets, and stand in plain text in the ConfigMap {{ include "egressd.exporter.configName" $ }}, for all who may read it: {{ . }}
  Put each into a Secret, the Secret into exporter.extraEnv, and ${VAR} in its place; or the whole configuration into exporter.existingSecretForConfig.
{{- end }}
{{- if $writes }}{{ include "egressd.notes.delta" . }}{{ include "egressd.notes.start" . }}{{ end }}
{{- end }}

{{/* A new pod without the totals of the one before. */}}
{{- define "egressd.notes.start" }}
{{- if not (and .Values.exporter.state.enabled .Values.exporter.state.persistent) }}
- With a new exporter pod counters start at zero. A database that deduplicates (VictoriaMetrics with -dedup.minScrapeInterval) may drop the
  last sample before that: set exporter.state.persistent=true, and counters go on; or an interval there below half of exportInterval.
{{- end }}
{{- end }}

{{/* Settings of sinks whose value looks like a secret that is none of ${VAR}. The exporter's literal-secrets.ts names the same ones. @param the configuration */}}
{{- define "egressd.literalSecrets" -}}
{{- $found := list -}}
{{- range $name, $sink := .sinks -}}
{{- range $kind, $settings := ternary $sink dict (kindIs "map" $sink) -}}
{{- if kindIs "map" $settings -}}
{{- range $key := list "url" "proxyUrl" -}}
{{- $url := toString (get $settings $key) -}}
{{- $user := regexFind "//[^/?#]*@" $url -}}
{{- if or (and $user (not (contains "${" $user))) (regexMatch "(?i)[?&][\\w.-]*(token|key|secret|password|passwd|signature|auth)[\\w.-]*=[^&#$]" $url) -}}
{{- $found = append $found (printf "sinks.%s.%s.%s" $name $kind $key) -}}
{{- end -}}
{{- end -}}
{{- range $header, $value := ternary $settings.headers dict (kindIs "map" $settings.headers) -}}
{{- if and $value (regexMatch "(?i)authorization|token|key|secret|password|cookie" $header) (not (contains "${" (toString $value))) -}}
{{- $found = append $found (printf "sinks.%s.%s.headers.%s" $name $kind $header) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ join ", " $found }}
{{- end }}

{{/* The one difference to the charts before. */}}
{{- define "egressd.notes.delta" }}
{{- if not (hasKey (default dict .Values.collector.extraArgs) "send-traffic-delta") }}
- Remote write sends growing counters. Charts of the Go version sent deltas, so a query from then must change:
    before:  sum_over_time(egressd_transmit_bytes_total[1d])
    now:     increase(egressd_transmit_bytes_total[1d])
  This keeps the old way:  --set collector.extraArgs.send-traffic-delta=true
{{- end }}
{{- end }}

{{/* Names of settings that are in the values and not in the chart: a misspelling, or a setting of another version. */}}
{{- define "egressd.unknownValues" -}}
{{- $known := include "egressd.knownValues" . | fromYaml -}}
{{- $unknown := list -}}
{{- range $name, $_ := omit .Values "global" -}}
{{- if not (hasKey $known $name) }}{{ $unknown = append $unknown $name }}{{ end -}}
{{- end -}}
{{- range $section, $names := $known -}}
{{- range $name, $_ := ternary (get $.Values $section) dict (kindIs "slice" $names) -}}
{{- if not (has $name $names) }}{{ $unknown = append $unknown (printf "%s.%s" $section $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{ join ", " $unknown }}
{{- end }}

{{/* The settings there are; where what is below is refused by values.schema.json, or may be anything, without it. */}}
{{- define "egressd.knownValues" -}}
clusterName:
castai: [apiKey, apiKeySecretRef, apiURL, clusterID, clusterIdSecretKeyRef]
imagePullSecrets:
nameOverride:
fullnameOverride:
collector:
  - image
  - serviceAccount
  - priorityClassName
  - podAnnotations
  - podLabels
  - hostNetwork
  - hostPID
  - ctMode
  - allowEbpf
  - skipInit
  - initSecurityContext
  - state
  - podSecurityContext
  - containerSecurityContext
  - resources
  - nodeSelector
  - tolerations
  - affinity
  - dnsPolicy
  - updateStrategy
  - terminationGracePeriodSeconds
  - httpListenPort
  - prometheusScrape
  - extraArgs
  - extraEnv
exporter:
  - image
  - config
  - structuredConfig
  - existingSecretForConfig
  - extraEnv
  - extraEnvFrom
  - extraVolumes
  - extraVolumeMounts
  - state
  - serviceAccount
  - priorityClassName
  - podAnnotations
  - podLabels
  - podSecurityContext
  - containerSecurityContext
  - resources
  - heapPercentage
  - nodeSelector
  - tolerations
  - affinity
  - dnsPolicy
  - terminationGracePeriodSeconds
  - httpListenPort
  - grpcListenPort
  - prometheusScrape
  - service
  - networkPolicy
  - extraArgs
tls:
monitoring:
{{- end }}
