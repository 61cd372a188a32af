{{/*
What all pods have in common. A component (rollout, retraining, mlflow, test) has its own value, or the one of the
chart's first level if its own is null. The predictor has those of the first level.
*/}}

{{/* A value of a component, as YAML. Of (list $ component key); the predictor's component is "". */}}
{{- define "linear-regressor.podValue" -}}
{{- $values := (index . 0).Values -}}
{{- $own := get $values (index . 1) | default dict -}}
{{- $isSet := and (hasKey $own (index . 2)) (not (kindIs "invalid" (get $own (index . 2)))) -}}
{{- toYaml (get (ternary $own $values $isSet) (index . 2)) -}}
{{- end -}}

{{/* The security context of a pod or container. Of (list $ component key). On OpenShift the namespace chooses the user. */}}
{{- define "linear-regressor.securityContext" -}}
{{- $context := include "linear-regressor.podValue" . | fromYaml -}}
{{- if (index . 0).Values.openshift -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Where a component's pods are placed, and with what priority. Of (list $ component). */}}
{{- define "linear-regressor.placement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $placement := dict -}}
{{- range list "priorityClassName" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" -}}
{{- $value := get (printf "value: %s" (include "linear-regressor.podValue" (list $root $component .) | nindent 2) | fromYaml) "value" -}}
{{- if $value -}}{{- $_ := set $placement . $value -}}{{- end -}}
{{- end -}}
{{- if $placement -}}{{- toYaml $placement -}}{{- end -}}
{{- end -}}

{{/* The head of a pod's specification. Of (list $ component). */}}
{{- define "linear-regressor.podSpec" -}}
{{- $root := index . 0 -}}
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "linear-regressor.placement" . }}
{{ . }}
{{- end }}
securityContext:
  {{- include "linear-regressor.securityContext" (list $root (index . 1) "podSecurityContext") | nindent 2 }}
{{- end -}}

{{/* Labels of a pod: those of its values, and those that selectors match. Of (list $ component name). */}}
{{- define "linear-regressor.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := include "linear-regressor.objectLabels" (list $root (index . 2)) | fromYaml -}}
{{- toYaml (merge $own (include "linear-regressor.podValue" (list $root (index . 1) "podLabels") | fromYaml)) -}}
{{- end -}}

{{/* Labels and annotations of a pod. Of (list $ component name labels): more labels of its own come last. */}}
{{- define "linear-regressor.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $labels := include "linear-regressor.podLabels" . | fromYaml -}}
labels:
  {{- toYaml (merge (index . 3) $labels) | nindent 2 }}
{{- with include "linear-regressor.podValue" (list $root (index . 1) "podAnnotations") | fromYaml }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Further variables of a container: the proxy, and the component's extraEnv. Of (list $ component). */}}
{{- define "linear-regressor.extraEnv" -}}
{{- $root := index . 0 -}}
{{- $proxy := $root.Values.proxy -}}
{{- $name := include "linear-regressor.fullname" $root -}}
{{- with $proxy.http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if or $proxy.http $proxy.https }}
# Services of this release and of the cluster are reached without a proxy.
- name: NO_PROXY
  value: {{ printf "localhost,127.0.0.1,$(KUBERNETES_SERVICE_HOST),.svc,.cluster.local,.%s,%s-predictor,%s-canary-predictor,%s-mlflow%s" $root.Release.Namespace $name $name $name ($proxy.noProxy | empty | ternary "" (printf ",%s" $proxy.noProxy)) | quote }}
{{- end }}
{{- with get (get $root.Values (index . 1) | default $root.Values) "extraEnv" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The component's extraEnvFrom. Of (list $ component). */}}
{{- define "linear-regressor.extraEnvFrom" -}}
{{- with get (get (index . 0).Values (index . 1) | default (index . 0).Values) "extraEnvFrom" -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The name of a component's ServiceAccount. Of (list $ component suffix). */}}
{{- define "linear-regressor.serviceAccountName" -}}
{{- $account := (get (index . 0).Values (index . 1) | default (index . 0).Values).serviceAccount -}}
{{- $account.name | default (ternary (printf "%s%s" (include "linear-regressor.fullname" (index . 0)) (index . 2)) "default" $account.create) -}}
{{- end -}}

{{/* A component's ServiceAccount, without a token. Of (list $ component suffix name); the name is its label's. */}}
{{- define "linear-regressor.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := (get $root.Values (index . 1) | default $root.Values).serviceAccount -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "linear-regressor.serviceAccountName" . | quote }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.componentLabels" (list $root (index . 3)) | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* The release's name and namespace, for arguments that contain them. */}}
{{- define "linear-regressor.identityEnv" -}}
- name: NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['app.kubernetes.io/instance']
- name: NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{/* A rule of a network policy for a component's pods. Of (list $ direction component port): `to` or `from` them. */}}
{{- define "linear-regressor.peer" -}}
- {{ index . 1 }}:
    - podSelector:
        matchLabels:
          {{- include "linear-regressor.componentStableLabels" (list (index . 0) (index . 2)) | nindent 10 }}
  ports:
    - protocol: TCP
      port: {{ index . 3 }}
{{- end -}}

{{/* Where names are resolved, as a rule of egress. */}}
{{- define "linear-regressor.dnsEgress" -}}
{{- $dns := .Values.networkPolicy.dns -}}
{{- $port := $dns.port | default (ternary 5353 53 .Values.openshift) -}}
- to:
    {{- if $dns.to }}
    {{- toYaml $dns.to | nindent 4 }}
    {{- else if .Values.openshift }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: openshift-dns
    {{- else }}
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    {{- end }}
  ports:
    - protocol: UDP
      port: {{ $port }}
    - protocol: TCP
      port: {{ $port }}
{{- end -}}
