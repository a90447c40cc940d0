{{/*
How a new exporter takes the old one's place: the old one is asked to end before the new one is made. It is not `Recreate`, since the
Deployment of the charts before has the default, `RollingUpdate` with its `rollingUpdate`: server-side apply (Helm 4, Argo CD, Flux) leaves
a defaulted field where it is, and the API server refuses `Recreate` beside it. The two may overlap while the old one ends, as they do when
a node is drained: on an emptyDir they share nothing, on a volume of one node the lock of the state directory makes the new one wait.
A volume that several nodes can mount has no such lock: there the old pod has to be gone first.
*/}}
{{- define "egressd.exporter.strategy" -}}
{{- $state := .Values.exporter.state -}}
{{- $shared := or $state.existingClaim (has "ReadWriteMany" $state.accessModes) -}}
{{- if and $state.enabled $state.persistent $shared -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 0
  maxUnavailable: 1
{{- end -}}
{{- end }}
