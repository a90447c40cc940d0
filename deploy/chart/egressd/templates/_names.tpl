{{/*
Names, labels and images. Names and selectors are those of the charts before: a DaemonSet's selector cannot be changed, so another one
would make an upgrade impossible.
*/}}

{{- define "egressd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "egressd.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Also the name of the Service, which may have 63 characters. */}}
{{- define "egressd.exporter.fullname" -}}
{{- printf "%s-exporter" (include "egressd.fullname" . | trunc 54 | trimSuffix "-") }}
{{- end }}

{{/* Of the whole cluster: a release of the same name in another namespace has its own. No namespace has a colon in its name. */}}
{{- define "egressd.exporter.clusterRoleName" -}}
{{ .Release.Namespace }}:{{ include "egressd.exporter.fullname" . }}
{{- end }}

{{/* Also the name of a CronJob, which may have 52 characters. */}}
{{- define "egressd.certificates.fullname" -}}
{{- printf "%s-certificates" (include "egressd.fullname" . | trunc 39 | trimSuffix "-") }}
{{- end }}

{{- define "egressd.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "egressd.collector.selectorLabels" -}}
app.kubernetes.io/name: {{ include "egressd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "egressd.collector.podLabels" -}}
{{ include "egressd.collector.selectorLabels" . }}
app.kubernetes.io/component: egressd-collector
{{- end }}

{{- define "egressd.collector.labels" -}}
{{ include "egressd.collector.podLabels" . }}
{{ include "egressd.commonLabels" . }}
{{- end }}

{{- define "egressd.exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "egressd.name" . | trunc 54 | trimSuffix "-" }}-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "egressd.exporter.podLabels" -}}
{{ include "egressd.exporter.selectorLabels" . }}
app.kubernetes.io/component: egressd-exporter
{{- end }}

{{- define "egressd.exporter.labels" -}}
{{ include "egressd.exporter.podLabels" . }}
{{ include "egressd.commonLabels" . }}
{{- end }}

{{/*
Labels of pods: the user's, and ours, which selectors find them by. No versions: a new chart alone restarts nothing.
@param ours, theirs
*/}}
{{- define "egressd.podLabels" -}}
{{ toYaml (mergeOverwrite (deepCopy (default dict .theirs)) (fromYaml .ours)) }}
{{- end }}

{{/* Of the Jobs: no selector above finds their pods. @param context, component */}}
{{- define "egressd.job.labels" -}}
app.kubernetes.io/name: {{ include "egressd.name" .context | trunc 48 | trimSuffix "-" }}-{{ .component }}
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: egressd-{{ .component }}
{{ include "egressd.commonLabels" .context }}
{{- end }}

{{- define "egressd.collector.serviceAccountName" -}}
{{- if .Values.collector.serviceAccount.create }}
{{- default (include "egressd.fullname" .) .Values.collector.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.collector.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "egressd.exporter.serviceAccountName" -}}
{{- if .Values.exporter.serviceAccount.create }}
{{- default (include "egressd.exporter.fullname" .) .Values.exporter.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.exporter.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image with its registry, and its digest or tag. @param context, image */}}
{{- define "egressd.image" -}}
{{- $repository := .image.repository -}}
{{- with .context.Values.global.imageRegistry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- if .image.digest -}}
{{ printf "%s@%s" $repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" $repository (.image.tag | default .context.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* Where collectors find the exporter. */}}
{{- define "egressd.exporter.host" -}}
{{ include "egressd.exporter.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "egressd.exporter.configName" -}}
{{ .Values.exporter.existingSecretForConfig | default (include "egressd.exporter.fullname" .) }}
{{- end }}
