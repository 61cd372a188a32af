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
    {{- include "linear-regressor.objectLabels" (list .root "predictor") | nindent 4 }}
    {{- if $standard }}
    # The routes are written here: KServe's own would expose /metrics and the repository.
    networking.kserve.io/visibility: cluster-local
    {{- end }}
  annotations:
    serving.kserve.io/deploymentMode: {{ $values.deploymentMode }}
    {{- if $standard }}
    serving.kserve.io/autoscalerClass: {{ ternary "external" "none" $scaled }}
    {{- end }}
    {{- if .model.storageUri }}
    linear-regressor/model-version: {{ include "linear-regressor.version" .model | quote }}
    {{- else if lookup "v1" "ServiceAccount" .root.Release.Namespace "default" }}
    # The cluster has no version either. KServe makes no pod until a promotion removes this.
    serving.kserve.io/stop: "true"
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
      storageUri: {{ . | quote }}
      {{- end }}
    {{- with $values.storage.containerName }}
    storageContainerName: {{ . | quote }}
    {{- end }}
    {{- with omit $values.podLabels "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/name" }}
    labels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    serviceAccountName: {{ include "linear-regressor.serviceAccountName" (list .root "" "") | quote }}
    automountServiceAccountToken: false
    enableServiceLinks: false
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
    # Also for the storage initializer, which has no seccomp profile of its own.
    securityContext:
      {{- include "linear-regressor.securityContext" (list .root "" "podSecurityContext") | nindent 6 }}
    {{- if $standard }}
    terminationGracePeriodSeconds: {{ add $values.drain.preStopSeconds $values.drain.seconds $values.drain.requestSeconds 10 }}
    deploymentStrategy:
      type: RollingUpdate
      rollingUpdate:
        maxSurge: {{ $values.replicas.surge }}
        maxUnavailable: 0
    {{- end }}
    {{- with $values.priorityClassName }}
    priorityClassName: {{ . | quote }}
    {{- end }}
    {{- with $values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with include "linear-regressor.spread" . }}
    topologySpreadConstraints:
      {{- . | nindent 6 }}
    {{- end }}
    {{- with include "linear-regressor.tolerations" .root }}
    tolerations:
      {{- . | nindent 6 }}
    {{- end }}
{{- end -}}

{{/* How a version's pods are spread: as the values say, else over nodes and zones. */}}
{{- define "linear-regressor.spread" -}}
{{- $values := .root.Values -}}
{{- if $values.topologySpreadConstraints -}}
{{- toYaml $values.topologySpreadConstraints -}}
{{- else if eq $values.deploymentMode "Standard" -}}
# The pods of each rollout are spread by themselves, and nodes with taints that the pods don't tolerate are not counted.
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
{{- end -}}
{{- end -}}

{{/* What the predictor's pods tolerate: a lost node for some seconds, and the tolerations of the values. */}}
{{- define "linear-regressor.tolerations" -}}
{{- $tolerations := list -}}
{{- if eq .Values.deploymentMode "Standard" -}}
{{- range list "not-ready" "unreachable" -}}
{{- $lost := dict "key" (printf "node.kubernetes.io/%s" .) "operator" "Exists" "effect" "NoExecute" -}}
{{- $tolerations = append $tolerations (set $lost "tolerationSeconds" $.Values.scheduling.lostNodeSeconds) -}}
{{- end -}}
{{- end -}}
{{- with concat $tolerations .Values.tolerations -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}
