{{- define "linear-regressor.rolloutStableLabels" -}}
app.kubernetes.io/component: rollout
app.kubernetes.io/instance: {{ include "linear-regressor.fullname" . }}
app.kubernetes.io/name: linear-regressor
{{- end -}}

{{- define "linear-regressor.rolloutLabels" -}}
{{ include "linear-regressor.rolloutStableLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "linear-regressor.rolloutImage" -}}
{{- $image := .Values.rollout.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The largest share that a canary is given by the job; 0 without one. */}}
{{- define "linear-regressor.largestStep" -}}
{{- $largest := 0 -}}
{{- if .Values.rollout.enabled -}}
{{- range .Values.rollout.policy.steps -}}{{- $largest = max $largest (int .weight) -}}{{- end -}}
{{- end -}}
{{- $largest -}}
{{- end -}}
