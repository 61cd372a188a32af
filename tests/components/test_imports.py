"""The steps' modules load only the packages that their step needs."""

import importlib
import subprocess
import sys

import pytest

# A step's modules, and the packages they must not load.
STEPS = {
    "ingest": (
        ["components.ingest.ingestion", "components.ingest.validation", "components.data.dataset"],
        ["kfp", "mlflow", "matplotlib", "sklearn"],
    ),
    "train": (
        ["components.train.training", "components.train.report"],
        ["kfp", "mlflow", "matplotlib", "pandera", "fsspec"],
    ),
}
steps = pytest.mark.parametrize(("modules", "unwanted"), STEPS.values(), ids=STEPS)


@steps
def test_step_can_be_imported_without_unwanted_packages(modules: list[str], unwanted: list[str]) -> None:
    loaded = dict(sys.modules)
    try:
        for name in loaded:
            package = name.partition(".")[0]
            if package == "components":
                del sys.modules[name]
            elif package in unwanted:
                sys.modules[name] = None  # type: ignore[assignment] # importing it fails
        sys.modules.update(dict.fromkeys(unwanted))  # type: ignore[arg-type]
        for module in modules:
            importlib.import_module(module)
    finally:
        for name in set(sys.modules) - set(loaded):
            if name.partition(".")[0] in {"components", *unwanted}:
                del sys.modules[name]
        sys.modules.update(loaded)


@pytest.mark.slow
@steps
def test_step_loads_no_unwanted_package(modules: list[str], unwanted: list[str]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*{set(unwanted)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
