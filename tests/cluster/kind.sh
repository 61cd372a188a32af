#!/usr/bin/env bash
# Creates a cluster in Docker for the tests: KServe in Standard mode, the Gateway API with Traefik.
#   tests/cluster/kind.sh IMAGE   creates it and loads the image, also with the tag `next`
# Needs docker, kind, kubectl and helm. Afterwards: export INGRESS=http://localhost:8088
set -euo pipefail

image=${1:?which image}
kserve=v0.20.0 gateway_api=v1.4.0 cert_manager=v1.17.0 traefik=37.4.0 metrics_server=3.13.0

kind create cluster --name linear-regressor --wait 120s --config - <<'K'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - {containerPort: 30080, hostPort: 8088}
  - role: worker
  - role: worker
K

docker tag "$image" "${image%:*}:next"
kind load docker-image --name linear-regressor "$image" "${image%:*}:next"

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
