{{/*
The pod that removes what counting by eBPF leaves in the kernel of its node: root without any capability.
@param context, wait (how long it stays afterwards), restart
*/}}
{{- define "egressd.collector.cleanupPod" -}}
{{- $collector := .context.Values.collector -}}
restartPolicy: {{ .restart }}
serviceAccountName: {{ include "egressd.collector.serviceAccountName" .context }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .context.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: cleanup
    image: {{ include "egressd.image" (dict "context" .context "image" $collector.image) | quote }}
    imagePullPolicy: {{ $collector.image.pullPolicy }}
    args: ["-cleanup", "-cleanup-wait={{ .wait }}"]
    securityContext:
      {{- include "egressd.collector.initSecurityContext" .context | nindent 6 }}
    resources:
      {{- toYaml (default dict $collector.resources) | nindent 6 }}
    volumeMounts:
      - name: bpf
        mountPath: /sys/fs/bpf
        mountPropagation: HostToContainer
volumes:
  - name: bpf
    hostPath:
      path: /sys/fs/bpf
      type: DirectoryOrCreate
{{- with $collector.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $collector.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $collector.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
