{{/* The largest share that a canary is given by the job; 0 without one. */}}
{{- define "linear-regressor.largestStep" -}}
{{- $largest := 0 -}}
{{- if .Values.rollout.enabled -}}
{{- range .Values.rollout.policy.steps -}}{{- $largest = max $largest (int .weight) -}}{{- end -}}
{{- end -}}
{{- $largest -}}
{{- end -}}
