{{/*
Flags of the daemons.
*/}}

{{/* A value as a flag is written. Values arrive as 64-bit floats, and a million must not become 1e+06. */}}
{{- define "egressd.flagValue" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{/* A map of extraArgs as arguments; a flag without a value stands alone. */}}
{{- define "egressd.extraArgs" -}}
{{- range $name, $value := . }}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") }}
- {{ printf "-%s" $name | quote }}
{{- else }}
- {{ printf "-%s=%s" $name (include "egressd.flagValue" $value) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The certificates of the stream. */}}
{{- define "egressd.tlsArgs" -}}
{{- if .Values.tls.enabled }}
- "-tls-cert-file=/etc/egressd/tls/tls.crt"
- "-tls-key-file=/etc/egressd/tls/tls.key"
- "-tls-ca-file=/etc/egressd/tls/ca.crt"
{{- else }}
- "-insecure"
{{- end }}
{{- end }}

{{- define "egressd.collector.args" -}}
{{- $collector := .Values.collector }}
- {{ printf "-http-listen-port=%d" (int $collector.httpListenPort) | quote }}
- {{ printf "-exporter-address=%s:%d" (include "egressd.exporter.host" .) (int .Values.exporter.grpcListenPort) | quote }}
{{- include "egressd.tlsArgs" . }}
{{- if $collector.state.enabled }}
- "-state-dir=/var/lib/egressd/collector"
{{- end }}
{{- with $collector.ctMode }}
- {{ printf "-ct-mode=%s" . | quote }}
{{- end }}
{{- if and (eq (include "egressd.collector.hostPID" .) "true") (not (hasKey (default dict $collector.extraArgs) "host-pid")) }}
- "-host-pid"
{{- end }}
{{- include "egressd.extraArgs" $collector.extraArgs }}
{{- end }}

{{- define "egressd.exporter.args" -}}
{{- $exporter := .Values.exporter }}
- {{ printf "-http-listen-port=%d" (int $exporter.httpListenPort) | quote }}
- {{ printf "-grpc-listen-port=%d" (int $exporter.grpcListenPort) | quote }}
{{- include "egressd.tlsArgs" . }}
{{- if $exporter.state.enabled }}
- "-state-dir=/var/lib/egressd/exporter"
{{- if not $exporter.state.persistent }}
- "-state-ephemeral"
{{- end }}
{{- end }}
{{- include "egressd.extraArgs" $exporter.extraArgs }}
{{- end }}
