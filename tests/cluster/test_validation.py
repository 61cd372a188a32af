"""kubeconform on everything rendered, strictly, against the cluster's own schemas and its CRDs'."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import kubectl, run

ANYTHING = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a schema for each kind that the cluster knows, which refuses unknown fields."""
    if not shutil.which("kubeconform"):
        pytest.skip("LEFT OUT: kubeconform is not on the PATH")
    folder = tmp_path_factory.mktemp("schemas")
    definitions = json.loads(kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    strict = {name: ANYTHING.get(name) or closed(schema) for name, schema in definitions.items()}
    (folder / "definitions.json").write_text(json.dumps({"definitions": strict}))
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            # To kubeconform the group of what has none is its version.
            group = kind["group"] or kind["version"]
            file = f"{kind['kind']}-{group}-{kind['version']}.json".lower()
            (folder / file).write_text(json.dumps({"$ref": f"definitions.json#/definitions/{name}"}))
    return folder


def closed(schema: Any) -> Any:
    """Refuse fields that a schema doesn't name, at every depth."""
    if isinstance(schema, list):
        return [closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        inner.setdefault("additionalProperties", False)
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    return inner


def check(rendered: str, schemas: Path) -> None:
    """Hold a stream of objects against the schemas."""
    kinds = {item["kind"] for item in yaml.safe_load_all(rendered) if item}
    unknown = sorted(kind for kind in kinds if not list(schemas.glob(f"{kind.lower()}-*")))
    if unknown:
        pytest.skip(f"LEFT OUT: the cluster knows no {', '.join(unknown)}")
    location = f"{schemas}/{{{{ .ResourceKind }}}}-{{{{ .Group }}}}-{{{{ .ResourceAPIVersion }}}}.json"
    said = run("kubeconform", "-strict", "-summary", "-schema-location", location, "-", stdin=rendered)
    assert "Invalid: 0, Errors: 0, Skipped: 0" in said, said


OVERLAYS = sorted(folder.name for folder in (ROOT / "manifests" / "overlays").iterdir())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_are_what_the_cluster_takes(overlay: str, schemas: Path) -> None:
    check(kubectl("kustomize", str(ROOT / "manifests" / "overlays" / overlay)), schemas)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_chart_is_what_the_cluster_takes(overlay: str, schemas: Path) -> None:
    chart = ROOT / "helm" / NAME
    values = chart / "ci" / f"{overlay}-values.yaml"
    check(run("helm", "template", NAME, str(chart), "-n", NAME, "-f", str(values)), schemas)
