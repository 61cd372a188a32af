{{/* What a pod runs. Each InferenceService has its own, so that a change restarts the pods of one alone. */}}
{{- define "linear-regressor.servingRuntime" -}}
{{- $values := .root.Values -}}
{{- $standard := eq $values.deploymentMode "Standard" -}}
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "linear-regressor.objectLabels" (list .root "predictor") | nindent 4 }}
spec:
  supportedModelFormats:
    - name: linear-regressor
      version: "1"
      autoSelect: false
  protocolVersions:
    - v1
    - v2
    - grpc-v2
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: kserve-container
      image: {{ include "linear-regressor.image" (dict "root" .root "image" (.image | default $values.image)) | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        - --model_name={{ $values.model.name }}
        - --model_dir=/mnt/models
        - --http_port=8080
        - --grpc_port=8081
      env:
        # An annotation is an entry of a map, so a promotion can change it alone.
        - name: PREDICTOR_MODEL_VERSION
          valueFrom:
            fieldRef:
              fieldPath: metadata.annotations['linear-regressor/model-version']
        - name: PREDICTOR_DRAIN_SECONDS
          value: {{ $values.drain.seconds | quote }}
        - name: PREDICTOR_GRACE_SECONDS
          value: {{ $values.drain.requestSeconds | quote }}
        - name: PREDICTOR_LOG_LEVEL
          value: {{ $values.logs.level | quote }}
        - name: PREDICTOR_LOG_RATIO
          value: {{ $values.logs.ratio | quote }}
        - name: PREDICTOR_DECISIONS_DIR
          value: /mnt/decisions
        {{- with $values.tracing.endpoint }}
        - name: OTEL_EXPORTER_OTLP_ENDPOINT
          value: {{ . | quote }}
        - name: OTEL_TRACES_SAMPLER
          value: {{ $values.tracing.sampler | quote }}
        - name: OTEL_TRACES_SAMPLER_ARG
          value: {{ $values.tracing.ratio | quote }}
        # KServe labels the pods with the name of their InferenceService: the canary's spans have its own.
        - name: OTEL_SERVICE_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.labels['serving.kserve.io/inferenceservice']
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        - name: OTEL_RESOURCE_ATTRIBUTES
          value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
        {{- end }}
        {{- with include "linear-regressor.extraEnv" (list .root "") }}
        {{- . | nindent 8 }}
        {{- end }}
      {{- with include "linear-regressor.extraEnvFrom" (list .root "") }}
      envFrom:
        {{- . | nindent 8 }}
      {{- end }}
      ports:
        {{- if $standard }}
        - name: http
          containerPort: 8080
          protocol: TCP
        # KServe's Service has the ports that are declared; h2c tells gateways to speak HTTP/2.
        - name: h2c
          containerPort: 8081
          protocol: TCP
        {{- else }}
        # Knative takes one port.
        - name: http1
          containerPort: 8080
          protocol: TCP
        {{- end }}
      startupProbe:
        httpGet:
          path: /ping
          port: 8080
        periodSeconds: 1
        timeoutSeconds: 5
        failureThreshold: 120
      readinessProbe:
        httpGet:
          path: /v2/models/{{ $values.model.name }}/ready
          port: 8080
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      # Neither a missing model nor a full queue is a reason to kill the server.
      livenessProbe:
        httpGet:
          path: /ping
          port: 8080
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if $standard }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $values.drain.preStopSeconds }}
      {{- end }}
      # `make status` shows the end of the log if the container wrote no message of its own.
      terminationMessagePolicy: FallbackToLogsOnError
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "linear-regressor.securityContext" (list .root "" "securityContext") | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: decisions
          mountPath: /mnt/decisions
          readOnly: true
        {{- with $values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 256Mi
    # What the jobs last decided, for /metrics.
    - name: decisions
      configMap:
        name: {{ include "linear-regressor.fullname" .root }}-decisions
        optional: true
    {{- with $values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
