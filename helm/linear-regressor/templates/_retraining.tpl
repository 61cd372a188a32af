{{- define "linear-regressor.retrainingStableLabels" -}}
app.kubernetes.io/component: retraining
app.kubernetes.io/instance: {{ include "linear-regressor.fullname" . }}
app.kubernetes.io/name: linear-regressor
{{- end -}}

{{- define "linear-regressor.retrainingLabels" -}}
{{ include "linear-regressor.retrainingStableLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
