{{- define "linear-regressor.inferenceService" -}}
{{- $values := .root.Values -}}
{{- $standard := eq $values.deploymentMode "Standard" -}}
{{- $scaled := ne $values.autoscaling.type "none" -}}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.stableLabels" .root | nindent 4 }}
    {{- if $standard }}
    # The routes are ours: KServe's own would show /metrics and the repository to the world.
    networking.kserve.io/visibility: cluster-local
    {{- end }}
  annotations:
    serving.kserve.io/deploymentMode: {{ $values.deploymentMode }}
    {{- if $standard }}
    serving.kserve.io/autoscalerClass: {{ ternary "external" "none" $scaled }}
    {{- end }}
    {{- if .model.storageUri }}
    linear-regressor/model-version: {{ include "linear-regressor.version" .model | quote }}
    {{- end }}
spec:
  predictor:
    model:
      modelFormat:
        name: linear-regressor
        version: "1"
      protocolVersion: v2
      runtime: {{ .name }}
      {{- with .model.storageUri }}
      storageUri: {{ . }}
      {{- end }}
    {{- with $values.storage.containerName }}
    storageContainerName: {{ . }}
    {{- end }}
    serviceAccountName: {{ include "linear-regressor.fullname" .root }}
    automountServiceAccountToken: false
    minReplicas: {{ .min }}
    {{- if not $standard }}
    maxReplicas: {{ .max }}
    scaleMetric: concurrency
    scaleTarget: {{ $values.autoscaling.concurrency }}
    {{- else if not $scaled }}
    maxReplicas: {{ .min }}
    {{- else }}
    maxReplicas: {{ .max }}
    {{- end }}
    # For the storage initialiser too, which brings no seccomp profile of its own.
    securityContext:
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      fsGroup: 65532
      seccompProfile:
        type: RuntimeDefault
    {{- if $standard }}
    terminationGracePeriodSeconds: {{ add $values.drain.preStopSeconds $values.drain.seconds $values.drain.requestSeconds 10 }}
    deploymentStrategy:
      type: RollingUpdate
      rollingUpdate:
        maxSurge: {{ $values.replicas.surge }}
        maxUnavailable: 0
    topologySpreadConstraints:
      # Each rollout is spread by itself, and a node that takes no pods is no place to count.
      - topologyKey: kubernetes.io/hostname
        maxSkew: 1
        whenUnsatisfiable: {{ $values.scheduling.whenUnsatisfiable }}
        nodeTaintsPolicy: Honor
        matchLabelKeys:
          - pod-template-hash
        labelSelector:
          matchLabels:
            serving.kserve.io/inferenceservice: {{ .name }}
      - topologyKey: topology.kubernetes.io/zone
        maxSkew: 1
        whenUnsatisfiable: ScheduleAnyway
        nodeTaintsPolicy: Honor
        matchLabelKeys:
          - pod-template-hash
        labelSelector:
          matchLabels:
            serving.kserve.io/inferenceservice: {{ .name }}
    tolerations:
      - key: node.kubernetes.io/not-ready
        operator: Exists
        effect: NoExecute
        tolerationSeconds: {{ $values.scheduling.lostNodeSeconds }}
      - key: node.kubernetes.io/unreachable
        operator: Exists
        effect: NoExecute
        tolerationSeconds: {{ $values.scheduling.lostNodeSeconds }}
    {{- with $values.scheduling.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    {{- with $values.scheduling.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
{{- end -}}
