{{/*
Who makes the certificates of the stream, and where they lie.
*/}}

{{/* "job", "cert-manager", "existing" or "none". */}}
{{- define "egressd.tls.by" -}}
{{- if not .Values.tls.enabled -}}
none
{{- else if .Values.tls.existingSecrets.exporter -}}
existing
{{- else if .Values.tls.certManager.enabled -}}
cert-manager
{{- else -}}
job
{{- end -}}
{{- end }}

{{- define "egressd.tls.caSecret" -}}
{{ include "egressd.fullname" . }}-ca
{{- end }}

{{- define "egressd.tls.exporterSecret" -}}
{{ .Values.tls.existingSecrets.exporter | default (printf "%s-exporter-tls" (include "egressd.fullname" .)) }}
{{- end }}

{{- define "egressd.tls.collectorSecret" -}}
{{ .Values.tls.existingSecrets.collector | default (printf "%s-collector-tls" (include "egressd.fullname" .)) }}
{{- end }}

{{/* Names of the exporter's Service, the one that collectors use first. */}}
{{- define "egressd.tls.dnsNames" -}}
{{- $name := include "egressd.exporter.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{ join "," (list (include "egressd.exporter.host" .) (printf "%s.%s" $name $namespace) $name) }}
{{- end }}

{{/* As whole files, so that kubelet renews them. Both daemons read renewed files without a restart. @param the Secret's name */}}
{{- define "egressd.tls.volume" -}}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288 # 0440
{{- end }}
