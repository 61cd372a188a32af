"""The images run under the Pod Security level ``restricted``, with /tmp as the only writable folder."""

import os

import pytest

from tests.cluster.installers import STORE
from tests.cluster.kube import get, kubectl, wait_for

JOB = """
apiVersion: batch/v1
kind: Job
metadata:
  name: pipeline-once
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: pipeline
          image: PIPELINE_IMAGE
          imagePullPolicy: IfNotPresent
          args: [run, --local, /tmp/runs]
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir: {}
"""


@pytest.mark.skipif("PIPELINE_IMAGE" not in os.environ, reason="LEFT OUT: PIPELINE_IMAGE not set")
def test_pipeline_image_trains_and_registers_a_champion(store: None) -> None:
    kubectl("-n", STORE, "delete", "job", "pipeline-once", "--ignore-not-found")
    manifest = JOB.replace("PIPELINE_IMAGE", os.environ["PIPELINE_IMAGE"])
    kubectl("-n", STORE, "apply", "-f", "-", stdin=manifest)

    def has_ended() -> object:
        status = get("-n", STORE, "job", "pipeline-once")["status"]
        return status.get("succeeded") or status.get("failed")

    wait_for("the pipeline", has_ended, 300)
    output = kubectl("-n", STORE, "logs", "job/pipeline-once")
    assert "Version 1 is the champion now" in output, output


def test_predictor_image_has_no_pipeline_packages(store: None) -> None:
    names = ("kfp", "sklearn", "mlflow", "pip")
    program = f"import importlib.util as u; print([name for name in {names} if u.find_spec(name)])"
    assert kubectl("-n", STORE, "exec", "deploy/store", "--", "python", "-c", program).strip() == "[]"
