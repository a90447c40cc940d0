{{/*
What the collector may do on its node, from what it has to do there.
*/}}

{{/* Where connections are read: the setting, or the flag of that name among extraArgs. */}}
{{- define "egressd.collector.ctMode" -}}
{{- $args := default dict .Values.collector.extraArgs -}}
{{ .Values.collector.ctMode | default (get $args "ct-mode") }}
{{- end }}

{{/* "true" where Cilium's maps may have to be read. */}}
{{- define "egressd.collector.readsMaps" -}}
{{- $mode := include "egressd.collector.ctMode" . -}}
{{ or (eq $mode "cilium") (and (eq $mode "") (.Capabilities.APIVersions.Has "cilium.io/v2")) }}
{{- end }}

{{/* "true" where sockets may have to be counted: with programs in the kernel that outlive the pod. */}}
{{- define "egressd.collector.countsSockets" -}}
{{- $mode := include "egressd.collector.ctMode" . -}}
{{ or (eq $mode "ebpf") (and (eq $mode "") (or .Values.collector.allowEbpf (.Capabilities.APIVersions.Has "cilium.io/v2"))) }}
{{- end }}

{{/* "true" where the node's network is entered through process 1. */}}
{{- define "egressd.collector.hostPID" -}}
{{- $args := default dict .Values.collector.extraArgs -}}
{{- if hasKey $args "host-pid" -}}
{{ ne (toString (get $args "host-pid")) "false" }}
{{- else -}}
{{ and .Values.collector.hostPID (not .Values.collector.hostNetwork) }}
{{- end -}}
{{- end }}

{{/* "true" where the init container runs. */}}
{{- define "egressd.collector.init" -}}
{{ not (or .Values.collector.skipInit (eq (include "egressd.collector.ctMode" .) "cilium")) }}
{{- end }}

{{/*
A security context: ours, with the user's merged over it. A privileged container may escalate, and Kubernetes refuses one that says it
may not. @param ours, theirs
*/}}
{{- define "egressd.securityContext" -}}
{{- $merged := mergeOverwrite (deepCopy .ours) (deepCopy (default dict .theirs)) -}}
{{- if and $merged.privileged (not (hasKey (default dict .theirs) "allowPrivilegeEscalation")) -}}
{{- $_ := unset $merged "allowPrivilegeEscalation" -}}
{{- end -}}
{{ toYaml $merged }}
{{- end }}

{{- define "egressd.collector.securityContext" -}}
{{- $add := list "NET_ADMIN" -}}
{{- if or (eq (include "egressd.collector.readsMaps" .) "true") (eq (include "egressd.collector.countsSockets" .) "true") }}{{ $add = append $add "BPF" }}{{ end -}}
{{- if eq (include "egressd.collector.hostPID" .) "true" }}{{ $add = concat $add (list "SYS_ADMIN" "SYS_PTRACE") }}{{ end -}}
{{- $ours := include "egressd.rootWithout" . | fromYaml -}}
{{- $_ := set $ours.capabilities "add" $add -}}
{{ include "egressd.securityContext" (dict "ours" $ours "theirs" .Values.collector.containerSecurityContext) }}
{{- end }}

{{/* The sysctls are files of root: writing them takes no capability. */}}
{{- define "egressd.collector.initSecurityContext" -}}
{{- $ours := include "egressd.rootWithout" . | fromYaml -}}
{{ include "egressd.securityContext" (dict "ours" $ours "theirs" .Values.collector.initSecurityContext) }}
{{- end }}

{{/* User 0 without any capability. */}}
{{- define "egressd.rootWithout" -}}
runAsUser: 0
runAsNonRoot: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
