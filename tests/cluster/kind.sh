#!/usr/bin/env bash
# Creates a cluster in Docker for the tests: KServe in Standard mode, the Gateway API with Traefik.
#   tests/cluster/kind.sh IMAGE [PART...]   creates it and loads the image, also with the tag `next`
# Parts: monitoring (Prometheus and its operator), keda, pipelines (Kubeflow Pipelines with its store; MORE_IMAGES are
# loaded too). Network policies are enforced.
# Needs docker, kind, kubectl and helm. Afterwards: export INGRESS=http://localhost:8088 POLICIES=1, and with
# pipelines also PIPELINES=http://localhost:8089 S3=http://localhost:8090
set -euo pipefail

image=${1:?which image}
parts=${*:2}
# Kubernetes 1.34, as kind 0.31 and later know it.
node=kindest/node:v1.34.3@sha256:08497ee19eace7b4b5348db5c6a1591d7752b164530a36f855cb0f2bdcbadd48
kserve=v0.20.0 gateway_api=v1.4.0 cert_manager=v1.17.0 traefik=37.4.0 metrics_server=3.13.0
prometheus=79.5.0 keda=2.18.1 pipelines=2.17.0

kind create cluster --name linear-regressor --image "$node" --wait 120s --config - <<'K'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - {containerPort: 30080, hostPort: 8088}
      - {containerPort: 30089, hostPort: 8089}
      - {containerPort: 30090, hostPort: 8090}
  - role: worker
  - role: worker
K

docker tag "$image" "${image%:*}:next"
# shellcheck disable=SC2086  # MORE_IMAGES are words
kind load docker-image --name linear-regressor "$image" "${image%:*}:next" ${MORE_IMAGES:-}

kubectl apply --server-side -f \
  "https://github.com/kubernetes-sigs/gateway-api/releases/download/$gateway_api/standard-install.yaml"
helm upgrade --install cert-manager cert-manager --repo https://charts.jetstack.io --version $cert_manager \
  -n cert-manager --create-namespace --set crds.enabled=true --wait
helm upgrade --install traefik traefik --repo https://traefik.github.io/charts --version $traefik \
  -n traefik --create-namespace --wait --set providers.kubernetesGateway.enabled=true --set gateway.enabled=false \
  --set service.type=NodePort --set ports.web.nodePort=30080
helm upgrade --install kserve-crd oci://ghcr.io/kserve/charts/kserve-crd --version $kserve -n kserve --create-namespace
helm upgrade --install kserve oci://ghcr.io/kserve/charts/kserve-resources --version $kserve -n kserve --wait \
  --set kserve.controller.deploymentMode=Standard \
  --set kserve.controller.gateway.disableIstioVirtualHost=true \
  --set kserve.controller.gateway.ingressGateway.enableGatewayApi=true \
  --set kserve.controller.gateway.ingressGateway.className=traefik

# Traefik listens on 8000 behind its Service.
kubectl apply -f - <<'K'
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: kserve-ingress-gateway
  namespace: kserve
spec:
  gatewayClassName: traefik
  listeners:
    - name: http
      port: 8000
      protocol: HTTP
      allowedRoutes:
        namespaces:
          from: All
K
helm upgrade --install metrics-server metrics-server --repo https://kubernetes-sigs.github.io/metrics-server \
  --version $metrics_server -n kube-system --set 'args={--kubelet-insecure-tls,--metric-resolution=15s}' --wait

for part in $parts; do
  case $part in
  monitoring)
    helm upgrade --install prometheus kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts \
      --version $prometheus -n monitoring --create-namespace --wait --set grafana.enabled=false \
      --set prometheus.prometheusSpec.scrapeInterval=5s --set prometheus.prometheusSpec.evaluationInterval=5s \
      --set prometheus.prometheusSpec.serviceMonitorSelectorNilUsesHelmValues=false \
      --set prometheus.prometheusSpec.ruleSelectorNilUsesHelmValues=false
    ;;
  keda)
    helm upgrade --install keda keda --repo https://kedacore.github.io/charts --version $keda \
      -n keda --create-namespace --wait
    ;;
  pipelines)
    manifests=https://github.com/kubeflow/pipelines/manifests/kustomize
    kubectl apply -k "$manifests/cluster-scoped-resources?ref=$pipelines"
    kubectl wait crd/applications.app.k8s.io --for=condition=established --timeout=60s
    kubectl apply -k "$manifests/env/platform-agnostic?ref=$pipelines"
    # The tests name the store as earlier releases of Kubeflow Pipelines did.
    kubectl apply -n kubeflow -f - <<'K'
apiVersion: v1
kind: Service
metadata: {name: minio-service}
spec:
  type: NodePort
  selector: {app: seaweedfs}
  ports: [{name: http, port: 9000, targetPort: 8333, nodePort: 30090}]
---
apiVersion: v1
kind: Service
metadata: {name: pipelines-outside}
spec:
  type: NodePort
  selector: {app: ml-pipeline}
  ports: [{name: http, port: 8888, targetPort: 8888, nodePort: 30089}]
K
    kubectl -n kubeflow wait deployments --all --for=condition=Available --timeout=900s
    ;;
  *) echo "no such part: $part" >&2; exit 1 ;;
  esac
done
