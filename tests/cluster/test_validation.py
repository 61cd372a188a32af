"""kubeconform on everything rendered, strictly, against the cluster's own schemas and its CRDs'.

Operators that a cluster need not have are in ``schemas``: of the Prometheus operator 0.90 and KEDA 2.21 (both
under the Apache License 2.0), their descriptions left out.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import kubectl, run

HERE = Path(__file__).parent
REFERENCE = re.compile(r'"#/definitions/([^"]+)"')
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
    for kept in (HERE / "schemas").iterdir():
        (folder / kept.name).write_text(json.dumps(closed(json.loads(kept.read_text()))))
    definitions = json.loads(kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    strict = {name: ANYTHING.get(name) or closed(schema) for name, schema in definitions.items()}
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            # To kubeconform the group of what has none is its version.
            group = kind["group"] or kind["version"]
            file = f"{kind['kind']}-{group}-{kind['version']}.json".lower()
            (folder / file).write_text(json.dumps(alone(name, strict)))
    return folder


def alone(name: str, definitions: dict[str, Any]) -> Any:
    """Return a schema with the definitions that it leads to, and no others."""
    needed, found = {name}, set()
    while needed:
        found |= needed
        text = json.dumps([definitions[each] for each in needed])
        needed = set(REFERENCE.findall(text)) - found
    return {"$ref": f"#/definitions/{name}", "definitions": {each: definitions[each] for each in found}}


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


def check(renders: dict[str, str], schemas: Path, place: Path) -> None:
    """Hold files of objects against the schemas; a kind without one is an error."""
    for name, text in renders.items():
        (place / f"{name}.yaml").write_text(text)
    location = f"{schemas}/{{{{ .ResourceKind }}}}-{{{{ .Group }}}}-{{{{ .ResourceAPIVersion }}}}.json"
    said = run("kubeconform", "-strict", "-summary", "-schema-location", location, str(place))
    assert f"in {len(renders)} files" in said, said
    assert "Invalid: 0, Errors: 0, Skipped: 0" in said, said


def test_overlays_are_what_the_cluster_takes(schemas: Path, tmp_path: Path) -> None:
    files = (ROOT / "manifests" / "overlays").rglob("kustomization.yaml")
    renders = {"-".join(file.parts[-3:-1]): kubectl("kustomize", str(file.parent)) for file in files}
    check(renders, schemas, tmp_path)


def test_the_chart_is_what_the_cluster_takes(schemas: Path, tmp_path: Path) -> None:
    chart = ROOT / "helm" / NAME
    template = ("helm", "template", NAME, str(chart), "-n", NAME, "-f")
    renders = {values.stem: run(*template, str(values)) for values in (chart / "ci").iterdir()}
    check(renders, schemas, tmp_path)
