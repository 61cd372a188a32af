{{- define "linear-regressor.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of a component that never change with the chart's version: selectors match them. Of (list $ "name"). */}}
{{- define "linear-regressor.componentStableLabels" -}}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ include "linear-regressor.fullname" (index . 0) }}
app.kubernetes.io/name: linear-regressor
{{- end -}}

{{/* Labels of a component's objects. Of (list $ "name"). */}}
{{- define "linear-regressor.componentLabels" -}}
{{- $root := index . 0 -}}
{{ include "linear-regressor.componentStableLabels" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The predictor's that never change with the chart's version: KServe copies an InferenceService's into its pods. */}}
{{- define "linear-regressor.stableLabels" -}}
{{ include "linear-regressor.componentStableLabels" (list . "predictor") }}
{{- end -}}

{{/* Labels of everything of the predictor that KServe does not copy. */}}
{{- define "linear-regressor.labels" -}}
{{ include "linear-regressor.componentLabels" (list . "predictor") }}
{{- end -}}

{{- define "linear-regressor.image" -}}
{{- $image := .root.Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ .tag | default $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "linear-regressor.gatewayNamespace" -}}
{{- if .Values.routing.gateway.create }}{{ .Release.Namespace }}{{ else }}{{ .Values.routing.gateway.namespace | default .Release.Namespace }}{{ end -}}
{{- end -}}

{{/* The canary's percentage: what was said, else what stands in the cluster, else none. */}}
{{- define "linear-regressor.canaryWeight" -}}
{{- $weight := 0 -}}
{{- if not (kindIs "invalid" .Values.canary.weight) -}}
{{- $weight = .Values.canary.weight -}}
{{- else -}}
{{- $name := include "linear-regressor.fullname" . -}}
{{- $route := lookup "gateway.networking.k8s.io/v1" "HTTPRoute" .Release.Namespace $name -}}
{{- range (dig "spec" "rules" (list) $route | first | default dict).backendRefs -}}
{{- if eq .name (printf "%s-canary-predictor" $name) -}}{{- $weight = .weight -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $weight -}}
{{- end -}}

{{/* Pods for a share of the requests, at least one: the canary's capacity follows its weight. */}}
{{- define "linear-regressor.share" -}}
{{- max 1 (ceil (divf (mulf .pods .weight) 100)) -}}
{{- end -}}

{{/* The backends of a rule. `port` is the Service's. */}}
{{- define "linear-regressor.backends" -}}
{{- $name := include "linear-regressor.fullname" .root -}}
{{- $weight := include "linear-regressor.canaryWeight" .root | int -}}
- name: {{ $name }}-predictor
  port: {{ .port }}
{{- if .root.Values.canary.enabled }}
  weight: {{ sub 100 $weight }}
- name: {{ $name }}-canary-predictor
  port: {{ .port }}
  weight: {{ $weight }}
{{- end }}
{{- end -}}

{{/* A version's label: what was said, else the last part of where it lies. Given model or canary. */}}
{{- define "linear-regressor.version" -}}
{{- .version | default (splitList "/" (trimSuffix "/" .storageUri) | last) -}}
{{- end -}}

{{/* storageUri and version to render: what was said, else what stands in the cluster, else nothing. */}}
{{- define "linear-regressor.served" -}}
{{- $uri := .model.storageUri -}}
{{- $version := .model.version -}}
{{- if not $uri -}}
{{- $live := lookup "serving.kserve.io/v1beta1" "InferenceService" .root.Release.Namespace .name | default dict -}}
{{- $uri = dig "spec" "predictor" "model" "storageUri" "" $live -}}
{{- $version = $version | default (dig "metadata" "annotations" "linear-regressor/model-version" "" $live) -}}
{{- end -}}
storageUri: {{ $uri | quote }}
version: {{ $version | quote }}
{{- end -}}
