{{- define "linear-regressor.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.labels" .root | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready does not block a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      serving.kserve.io/inferenceservice: {{ .name }}
{{- end -}}

{{/* Adds pods at once, and removes them slowly. */}}
{{- define "linear-regressor.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Percent
      value: 100
      periodSeconds: 15
    - type: Pods
      value: 2
      periodSeconds: 15
scaleDown:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleDownWindowSeconds }}
  selectPolicy: Max
  policies:
    - type: Percent
      value: 50
      periodSeconds: 30
{{- end -}}

{{- define "linear-regressor.horizontalPodAutoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.labels" .root | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .name }}-predictor
  minReplicas: {{ .min }}
  maxReplicas: {{ .max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .root.Values.autoscaling.cpuUtilization }}
  behavior:
    {{- include "linear-regressor.scalingBehavior" .root | nindent 4 }}
{{- end -}}

{{- define "linear-regressor.scaledObject" -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.labels" .root | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .name }}-predictor
  minReplicaCount: {{ .min }}
  maxReplicaCount: {{ .max }}
  # Without Prometheus the number of pods stays as it is.
  fallback:
    failureThreshold: 3
    replicas: {{ .min }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "linear-regressor.scalingBehavior" .root | nindent 8 }}
  triggers:
    - type: prometheus
      metadata:
        serverAddress: {{ .root.Values.autoscaling.prometheusUrl }}
        query: >-
          sum(rate(predictor_requests_total{namespace="{{ .root.Release.Namespace }}",job="{{ .name }}-predictor",traffic="user"}[1m]))
        threshold: {{ .root.Values.autoscaling.requestsPerReplica | quote }}
{{- end -}}
