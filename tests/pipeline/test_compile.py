"""The compiled pipeline, and that its parameters are those of its steps."""

from pathlib import Path

import pytest
import yaml

import pipeline
from components.operations.cli.parameters import WANTED
from components.runtime.image import PIPELINE_IMAGE
from pipeline import kinds, main
from tests.pipeline.conftest import STEPS

GOLDEN = Path(__file__).parents[1] / "golden" / "pipeline.yaml"


def test_compiles_to_the_golden_file(tmp_path: Path) -> None:
    """A wanted change is written by ``python pipeline.py compile -o tests/golden/pipeline.yaml``."""
    assert main(["compile", "-o", str(tmp_path / "pipeline.yaml")]) == 0
    assert (tmp_path / "pipeline.yaml").read_text() == GOLDEN.read_text()


def test_no_step_installs_packages_or_has_a_condition() -> None:
    spec = next(yaml.safe_load_all(GOLDEN.read_text()))
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == 5
    for executor in executors.values():
        assert executor["container"]["image"] == PIPELINE_IMAGE
        assert "pip install" not in " ".join(executor["container"]["command"])
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    tasks = {name: task for dag in dags for name, task in dag["tasks"].items()}
    assert set(tasks) == {"plan", "for-loop-1", "ingest", "train", "evaluate", "register"}
    for name, task in tasks.items():
        assert "triggerPolicy" not in task
        cached = task.get("cachingOptions", {}).get("enableCache", False)
        assert name == "for-loop-1" or cached == (name in ("ingest", "train"))


def test_every_step_has_limits_a_user_and_retries() -> None:
    spec, platform = yaml.safe_load_all(GOLDEN.read_text())
    executors = spec["deploymentSpec"]["executors"]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == executors.keys()
    for name, executor in executors.items():
        assert {"resourceCpuLimit", "resourceMemoryLimit"} <= executor["container"]["resources"].keys()
        assert pods[name]["securityContext"]["runAsNonRoot"] is True
        assert int(pods[name]["activeDeadlineSeconds"]) > 0
        (secret,) = pods[name]["secretAsVolume"]
        assert secret["optional"] is True
    components = [spec["root"], *spec["components"].values()]
    tasks = [task for component in components for task in component.get("dag", {}).get("tasks", {}).items()]
    for name, task in tasks:
        assert name.startswith("for-loop") or task["retryPolicy"]["backoffFactor"] == 2


@pytest.mark.parametrize("step", STEPS)
def test_every_step_parameter_is_a_pipeline_parameter_with_the_same_default(step: str) -> None:
    renamed = {own: name for name, own in pipeline.RENAMED.items()} if step == "train" else {}
    for own, spec in STEPS[step].component_spec.inputs.items():
        name = renamed.get(own, own)
        if spec.type in WANTED and name not in ("shard", "job_id", "job_name"):
            # The step has an artifact of the name "model" already.
            outer = "model" if name == "kind" else name
            assert (outer, kinds().get(outer)) == (outer, spec.type)
            if spec.optional:
                assert pipeline.linear_regressor.component_spec.inputs[outer].default == spec.default


def test_steps_run_in_the_given_image(tmp_path: Path) -> None:
    assert main(["compile", "-o", str(tmp_path / "p.yaml"), "--image", "registry.example/mine@sha256:1"]) == 0
    executors = next(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))["deploymentSpec"]["executors"]
    assert {step["container"]["image"] for step in executors.values()} == {"registry.example/mine@sha256:1"}


def test_compiles_without_caching(tmp_path: Path) -> None:
    pipeline.compile_to(tmp_path / "p.yaml", caching=False)
    assert "enableCache: true" in GOLDEN.read_text()
    assert "enableCache: true" not in (tmp_path / "p.yaml").read_text()


def test_compiles_to_kubernetes_resources(tmp_path: Path) -> None:
    command = ["compile", "-o", str(tmp_path / "p.yaml"), "--kubernetes-manifest", "--namespace", "ml"]
    assert main(command) == 0
    resources = list(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))
    assert [resource["kind"] for resource in resources] == ["Pipeline", "PipelineVersion"]
    assert {resource["metadata"]["namespace"] for resource in resources} == {"ml"}
