{{/*
The pod that makes or renews certificates: from the exporter's image, with the exporter's security contexts and place.
@param context, serviceAccount
*/}}
{{- define "egressd.certificates.pod" -}}
{{- $values := .context.Values }}
metadata:
  {{- with $values.tls.job.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  labels:
    {{- include "egressd.job.labels" (dict "context" .context "component" "certificates") | nindent 4 }}
    {{- with $values.tls.job.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ .serviceAccount }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.exporter.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.exporter.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: certificates
      image: {{ include "egressd.image" (dict "context" .context "image" $values.exporter.image) | quote }}
      imagePullPolicy: {{ $values.exporter.image.pullPolicy }}
      # `kubectl describe pod` shows why it failed.
      terminationMessagePolicy: FallbackToLogsOnError
      command: ["node", "--disable-sigusr1", "/app/dist/certificates.js"]
      args:
        - {{ printf "-namespace=%s" .context.Release.Namespace | quote }}
        - {{ printf "-ca-secret=%s" (include "egressd.tls.caSecret" .context) | quote }}
        - {{ printf "-exporter-secret=%s" (include "egressd.tls.exporterSecret" .context) | quote }}
        - {{ printf "-collector-secret=%s" (include "egressd.tls.collectorSecret" .context) | quote }}
        - {{ printf "-dns-names=%s" (include "egressd.tls.dnsNames" .context) | quote }}
        - {{ printf "-validity=%s" $values.tls.job.validity | quote }}
        - {{ printf "-renew-before=%s" $values.tls.job.renewBefore | quote }}
        - {{ printf "-ca-validity=%s" $values.tls.job.caValidity | quote }}
      {{- with $values.exporter.containerSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $values.tls.job.resources | nindent 8 }}
  {{- with $values.exporter.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.exporter.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.exporter.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A service account, its Role and the binding of both. @param context, name, annotations, create */}}
{{- define "egressd.certificates.rbac" -}}
{{- $labels := include "egressd.job.labels" (dict "context" .context "component" "certificates") }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .context.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .context.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
rules:
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - {{ include "egressd.tls.caSecret" .context }}
      - {{ include "egressd.tls.exporterSecret" .context }}
      - {{ include "egressd.tls.collectorSecret" .context }}
    verbs: [get, update]
  {{- if .create }}
  # No name can limit a creation. Who may only create can read and change nothing that is there.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .context.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .context.Release.Namespace }}
{{- end }}
