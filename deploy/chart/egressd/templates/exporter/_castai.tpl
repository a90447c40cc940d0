{{/* What ${CLUSTER_ID} and ${API_KEY} in the configuration stand for, where they are set. */}}
{{- define "egressd.exporter.castaiEnv" -}}
{{- $castai := .Values.castai -}}
{{- $id := default dict $castai.clusterIdSecretKeyRef -}}
{{- if $castai.clusterID }}
- name: CLUSTER_ID
  value: {{ $castai.clusterID | quote }}
{{- else if $id.name }}
- name: CLUSTER_ID
  valueFrom:
    secretKeyRef:
      name: {{ $id.name }}
      key: {{ $id.key | default "CLUSTER_ID" }}
{{- end }}
{{- if or $castai.apiKey $castai.apiKeySecretRef }}
- name: API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $castai.apiKeySecretRef | default (include "egressd.fullname" .) }}
      key: API_KEY
{{- end }}
{{- end }}
