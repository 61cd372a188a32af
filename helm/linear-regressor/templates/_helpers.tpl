{{/* The chart's name, which the names of all objects contain. */}}
{{- define "linear-regressor.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/*
The name of all objects: fullnameOverride, else the release's name, with the chart's unless it contains that. A name
that is too long for the objects derived from it, or has other characters than theirs, gets a digest, so that two
releases never share a name.
*/}}
{{- define "linear-regressor.fullname" -}}
{{- $name := include "linear-regressor.name" . -}}
{{- $full := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) -}}
{{- $valid := $full | lower | replace "." "-" -}}
{{- if or (ne $valid $full) (gt (len $valid) 40) -}}
{{- printf "%s-%s" ($valid | trunc 31 | trimSuffix "-") ($full | sha256sum | trunc 8) -}}
{{- else -}}
{{- $valid -}}
{{- end -}}
{{- end -}}

{{/* Labels of a component that do not change with the chart's version: selectors match them. Of (list $ "name"). */}}
{{- define "linear-regressor.componentStableLabels" -}}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ include "linear-regressor.fullname" (index . 0) }}
app.kubernetes.io/name: {{ include "linear-regressor.name" (index . 0) }}
{{- end -}}

{{/* Labels of a component's objects. Of (list $ "name"). */}}
{{- define "linear-regressor.componentLabels" -}}
{{- $root := index . 0 -}}
{{ include "linear-regressor.objectLabels" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of a component's objects that KServe copies into pods. Of (list $ "name"). */}}
{{- define "linear-regressor.objectLabels" -}}
{{- $own := include "linear-regressor.componentStableLabels" . | fromYaml -}}
{{ toYaml (merge $own (index . 0).Values.commonLabels) }}
{{- end -}}

{{/* The predictor's selector. */}}
{{- define "linear-regressor.stableLabels" -}}
{{ include "linear-regressor.componentStableLabels" (list . "predictor") }}
{{- end -}}

{{/* Labels of everything of the predictor that KServe does not copy. */}}
{{- define "linear-regressor.labels" -}}
{{ include "linear-regressor.componentLabels" (list . "predictor") }}
{{- end -}}

{{/* The name of an image. Of (dict "root" $ "image" values); without a registry of its own it has the predictor's. */}}
{{- define "linear-regressor.image" -}}
{{- $image := .image -}}
{{- printf "%s/%s" ($image.registry | default .root.Values.image.registry | trimSuffix "/") $image.repository -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The address of the MLflow server, valid in every namespace. $(NAMESPACE) is that of the pod. */}}
{{- define "linear-regressor.trackingUri" -}}
{{- .Values.rollout.registry.trackingUri | default "http://$(NAME)-mlflow.$(NAMESPACE):5000" -}}
{{- end -}}

{{- define "linear-regressor.host" -}}
{{- .Values.routing.host | default (printf "%s.%s.%s" (include "linear-regressor.fullname" .) .Release.Namespace .Values.routing.domain) -}}
{{- end -}}

{{/* The host name of gRPC; "-" means none. */}}
{{- define "linear-regressor.grpcHost" -}}
{{- if ne .Values.routing.grpcHost "-" -}}
{{- .Values.routing.grpcHost | default (printf "grpc.%s" (include "linear-regressor.host" . | trimPrefix "*.")) -}}
{{- end -}}
{{- end -}}

{{- define "linear-regressor.gatewayName" -}}
{{- $gateway := .Values.routing.gateway -}}
{{- if $gateway.create -}}
{{- $gateway.name | default (include "linear-regressor.fullname" .) -}}
{{- else -}}
{{- $gateway.name | default "kserve-ingress-gateway" -}}
{{- end -}}
{{- end -}}

{{/* The Gateway that a route attaches to, in the route's own namespace unless a value names another. */}}
{{- define "linear-regressor.parentRef" -}}
{{- $gateway := .root.Values.routing.gateway -}}
- name: {{ include "linear-regressor.gatewayName" .root | quote }}
{{- if and (not $gateway.create) $gateway.namespace }}
  namespace: {{ $gateway.namespace | quote }}
{{- end }}
{{- if $gateway.create }}
  sectionName: {{ .section }}
{{- end }}
{{- end -}}

{{/* The canary's percentage: the value, else the weight in the cluster, else 0. */}}
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

{{/* The largest share that a canary is given by the job; 0 without one. */}}
{{- define "linear-regressor.largestStep" -}}
{{- $largest := 0 -}}
{{- if .Values.rollout.enabled -}}
{{- range .Values.rollout.policy.steps -}}{{- $largest = max $largest (int .weight) -}}{{- end -}}
{{- end -}}
{{- $largest -}}
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

{{/* A version's label: the value, else the last part of its URI. Of model or canary. */}}
{{- define "linear-regressor.version" -}}
{{- .version | default (splitList "/" (trimSuffix "/" .storageUri) | last) -}}
{{- end -}}

{{/* The URI of a folder in an object store, with a slash: without it KServe takes the URI for a prefix. */}}
{{- define "linear-regressor.folder" -}}
{{- if regexMatch "^(s3|gs|abfss?|wasbs?|hdfs|webhdfs)://.*[^/]$" . -}}{{ . }}/{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* storageUri and version to render: the values, else what is in the cluster, else nothing. */}}
{{- define "linear-regressor.served" -}}
{{- $uri := .model.storageUri -}}
{{- $version := .model.version -}}
{{- if not $uri -}}
{{- $live := lookup "serving.kserve.io/v1beta1" "InferenceService" .root.Release.Namespace .name | default dict -}}
{{- $uri = dig "spec" "predictor" "model" "storageUri" "" $live -}}
{{- $version = $version | default (dig "metadata" "annotations" "linear-regressor/model-version" "" $live) -}}
{{- end -}}
storageUri: {{ include "linear-regressor.folder" $uri | quote }}
version: {{ $version | quote }}
{{- end -}}
