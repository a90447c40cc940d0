{{/*
What cannot be, with what to do. values.schema.json refuses what is wrong in itself; here is what is wrong together.
*/}}

{{- define "egressd.checks" -}}
{{- $castai := .Values.castai -}}
{{- $id := get (default dict $castai.clusterIdSecretKeyRef) "name" -}}
{{- $keyed := or $castai.apiKey $castai.apiKeySecretRef -}}
{{- if and $castai.apiKey $castai.apiKeySecretRef }}
{{- fail "castai.apiKey and castai.apiKeySecretRef exclude each other: set one" }}
{{- end }}
{{- if and $castai.clusterID $id }}
{{- fail "castai.clusterID and castai.clusterIdSecretKeyRef.name exclude each other: set one" }}
{{- end }}
{{- if and $keyed (eq (toString (get (default dict .Values.collector.extraArgs) "send-traffic-delta")) "false") }}
{{- fail "collector.extraArgs.send-traffic-delta is false, and CAST AI takes deltas only: set it to true, or leave it out" }}
{{- end }}
{{- if not (or $castai.clusterID $id .Values.exporter.existingSecretForConfig) }}
{{- if and $keyed (contains "${CLUSTER_ID}" (include "egressd.exporter.config" .)) }}
{{- fail "castai.apiKey needs castai.clusterID or castai.clusterIdSecretKeyRef.name: ${CLUSTER_ID} stands in the configuration" }}
{{- end }}
{{- end }}
{{- include "egressd.checkImages" . }}
{{- include "egressd.checkNetwork" . }}
{{- include "egressd.checkTls" . }}
{{- end }}

{{- define "egressd.checkImages" -}}
{{- range $name := list "collector" "exporter" }}
{{- $repository := (get $.Values $name).image.repository }}
{{- if contains "castai/egressd" $repository }}
{{- fail (printf "%s.image.repository is %s, an image of the Go version, which this chart cannot run: leave %s.image out, or name your build of this one" $name $repository $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "egressd.checkNetwork" -}}
{{- if not (or .Values.collector.hostNetwork (eq (include "egressd.collector.hostPID" .) "true") (eq (include "egressd.collector.ctMode" .) "cilium")) }}
{{- fail "collector.hostNetwork and collector.hostPID are both false: the collector would see only its own pod's connections; set one to true" }}
{{- end }}
{{- end }}

{{- define "egressd.checkTls" -}}
{{- $own := .Values.tls.existingSecrets -}}
{{- if and .Values.tls.enabled (ne (empty $own.exporter) (empty $own.collector)) }}
{{- fail "tls.existingSecrets: set both exporter and collector, or none" }}
{{- end }}
{{- if and .Values.tls.enabled $own.exporter .Values.tls.certManager.enabled }}
{{- fail "tls.existingSecrets and tls.certManager.enabled exclude each other: choose one" }}
{{- end }}
{{- end }}
