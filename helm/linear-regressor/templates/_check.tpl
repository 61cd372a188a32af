{{/* Refuses values that contradict each other or lack something, all of it in one message. */}}
{{- define "linear-regressor.check" -}}
{{- $values := .Values -}}
{{- $name := include "linear-regressor.fullname" . -}}
{{- $problems := list -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $problems = append $problems (printf "the name %q must begin with a letter and have letters, digits and - alone; set fullnameOverride" $name) -}}
{{- end -}}
{{- if not $values.image.registry -}}
{{- $problems = append $problems "image.registry is empty: no image is published, so push your own with `make image push REGISTRY=registry.example.com/team` and set image.registry to the same" -}}
{{- end -}}
{{- if not (or $values.storage.secretName $values.storage.withoutSecret) -}}
{{- $problems = append $problems "storage.secretName is empty: name the Secret with the model store's credentials, or set storage.withoutSecret=true for a store that is public or knows the pods by their ServiceAccount. If an upgrade says so, its command left out what the installation had; repeat that or use `helm upgrade --reset-then-reuse-values`" -}}
{{- end -}}
{{- $promoted := or $values.model.promoted $values.rollout.enabled -}}
{{- if not (or $values.model.storageUri $promoted) -}}
{{- $problems = append $problems "model.storageUri is empty, and without a version pods can only fail: set it, such as s3://prices/models/linear-regressor/1/, or model.promoted=true if a pipeline or kubectl sets it on the InferenceService" -}}
{{- end -}}
{{- if and $values.canary.enabled (not (or $values.canary.storageUri $promoted)) -}}
{{- $problems = append $problems "canary.storageUri is empty, and without a version its pods can only fail: set it, or model.promoted=true" -}}
{{- end -}}
{{- if gt (int $values.replicas.min) (int $values.replicas.max) -}}
{{- $problems = append $problems (printf "replicas.min (%d) is larger than replicas.max (%d)" (int $values.replicas.min) (int $values.replicas.max)) -}}
{{- end -}}
{{- range list "rollout" "retraining" -}}
{{- if and (get $values .).enabled (not (or $values.mlflow.enabled $values.rollout.registry.trackingUri)) -}}
{{- $problems = append $problems (printf "%s.enabled needs a registry: set mlflow.enabled=true, or rollout.registry.trackingUri to the address of another MLflow server" .) -}}
{{- end -}}
{{- end -}}
{{- if and $values.mlflow.enabled (not (or $values.mlflow.authentication.enabled $values.networkPolicy.enabled)) -}}
{{- $problems = append $problems "mlflow.enabled without a password or a network policy lets every pod of the cluster choose the champion: set mlflow.authentication.enabled=true or networkPolicy.enabled=true" -}}
{{- end -}}
{{- if and $values.rollout.enabled (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "rollout.enabled needs Kubernetes 1.33, whose admission policies it uses; this is %s" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $variables := dict "PREDICTOR_AUTH" "off" -}}
{{- range $values.extraEnv -}}{{- $_ := set $variables .name (.value | default "from elsewhere") -}}{{- end -}}
{{- if and (or (hasKey $variables "PREDICTOR_API_KEYS") (hasKey $variables "PREDICTOR_JWKS")) (eq $variables.PREDICTOR_AUTH "off") -}}
{{- $problems = append $problems "extraEnv sets PREDICTOR_API_KEYS or PREDICTOR_JWKS while PREDICTOR_AUTH is off, so that everybody is let in: add PREDICTOR_AUTH with the value required" -}}
{{- end -}}
{{- if and (eq $values.routing.type "httproute") (eq (include "linear-regressor.grpcHost" .) (include "linear-regressor.host" .)) -}}
{{- $problems = append $problems "routing.grpcHost must differ from routing.host: the Gateway API lets an HTTPRoute and a GRPCRoute share no host name" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
