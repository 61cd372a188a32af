"""Network policies admit only the callers that they list, on clusters that enforce them (``POLICIES=1``)."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Settings
from tests.cluster.kube import kubectl
from tests.cluster.service import Service

CALLERS = {
    "the gateway": ("traefik", "app.kubernetes.io/name=traefik", True),
    "the scraper": ("monitoring", "app.kubernetes.io/name=prometheus", True),
    "a step of a pipeline": ("kubeflow", "pipelines.kubeflow.org/v2_component=true", False),
    "an unrelated pod": ("linear-regressor-unrelated", "app=unrelated", False),
    "a pod with the gateway's labels in another namespace": (
        "linear-regressor-unrelated",
        "app.kubernetes.io/name=traefik",
        False,
    ),
}

pytestmark = [
    pytest.mark.short,
    pytest.mark.skipif(
        not os.environ.get("POLICIES"),
        reason="LEFT OUT: POLICIES=1 says that the cluster enforces NetworkPolicies",
    ),
]


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest, image: str) -> Iterator[tuple[str, bool]]:
    """The namespace and name of a calling pod, and whether the policy admits it."""
    namespace, labels, allowed = CALLERS[request.param]
    new_namespace = not kubectl("get", "namespace", namespace, "--ignore-not-found")
    if new_namespace:
        kubectl("create", "namespace", namespace)
    name = "linear-regressor-caller"
    kubectl("-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait")
    kubectl(
        "-n", namespace, "run", name, f"--image={image}", f"--labels={labels}", "--restart=Never",
        "--image-pull-policy=IfNotPresent", "--command", "--", "python", "-c", "import time; time.sleep(600)",
    )  # fmt: skip
    kubectl("-n", namespace, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    yield f"{namespace}/{name}", allowed
    if new_namespace:
        kubectl("delete", "namespace", namespace)
    else:
        kubectl("-n", namespace, "delete", "pod", name, "--now")


def reaches(caller: str, address: str, path: str) -> bool:
    """Return whether a pod receives a response from an address."""
    namespace, _, pod = caller.partition("/")
    program = (
        "import urllib.request\n"
        f"try: print(urllib.request.urlopen('http://{address}{path}', timeout=4).status)\n"
        "except OSError as error: print(error)"
    )
    output = kubectl("-n", namespace, "exec", pod, "--", "python", "-c", program).strip()
    assert output == "200" or "timed out" in output or "refused" in output, output
    return output == "200"


def test_network_policy_admits_only_the_listed_callers(
    installed: Settings, service: Service, caller: tuple[str, bool]
) -> None:
    pod, allowed = caller
    addresses = [item["status"]["podIP"] + ":8080" for item in service.pods()]
    for address in [*addresses, f"{NAME}-predictor.{NAMESPACE}"]:
        for path in ("/ping", "/metrics", f"/v2/models/{NAME}"):
            assert reaches(pod, address, path) is allowed, json.dumps([pod, address, path])
