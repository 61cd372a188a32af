"""kubeconform checks all rendered objects strictly against the schemas of the cluster and its CRDs.

``schemas`` has the CRDs of operators that a cluster may lack: the Prometheus operator 0.90 and KEDA 2.21
(both under the Apache License 2.0), without descriptions.
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
UNTYPED = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a schema for each kind of the cluster; the schemas reject unknown fields."""
    if not shutil.which("kubeconform"):
        pytest.skip("LEFT OUT: kubeconform is not on the PATH")
    folder = tmp_path_factory.mktemp("schemas")
    for file in (HERE / "schemas").iterdir():
        (folder / file.name).write_text(json.dumps(without_unknown_fields(json.loads(file.read_text()))))
    definitions = json.loads(kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    strict = {
        name: UNTYPED.get(name) or without_unknown_fields(schema) for name, schema in definitions.items()
    }
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            # For a kind without a group, kubeconform uses the version as the group.
            group = kind["group"] or kind["version"]
            file_name = f"{kind['kind']}-{group}-{kind['version']}.json".lower()
            (folder / file_name).write_text(json.dumps(with_references(name, strict)))
    return folder


def with_references(name: str, definitions: dict[str, Any]) -> Any:
    """Return a schema with only the definitions that it refers to, directly or not."""
    needed, found = {name}, set()
    while needed:
        found |= needed
        text = json.dumps([definitions[each] for each in needed])
        needed = set(REFERENCE.findall(text)) - found
    return {"$ref": f"#/definitions/{name}", "definitions": {each: definitions[each] for each in found}}


def without_unknown_fields(schema: Any) -> Any:
    """Return a schema that rejects unknown fields at every depth."""
    if isinstance(schema, list):
        return [without_unknown_fields(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: without_unknown_fields(value) for key, value in schema.items()}
    if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        inner.setdefault("additionalProperties", False)
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    return inner


def validate(manifests: dict[str, str], schemas: Path, folder: Path) -> None:
    """Validate manifests against the schemas; a kind without a schema is an error."""
    for name, text in manifests.items():
        (folder / f"{name}.yaml").write_text(text)
    location = f"{schemas}/{{{{ .ResourceKind }}}}-{{{{ .Group }}}}-{{{{ .ResourceAPIVersion }}}}.json"
    output = run("kubeconform", "-strict", "-summary", "-schema-location", location, str(folder))
    assert f"in {len(manifests)} files" in output, output
    assert "Invalid: 0, Errors: 0, Skipped: 0" in output, output


def test_overlays_match_the_clusters_schemas(schemas: Path, tmp_path: Path) -> None:
    files = (ROOT / "manifests" / "overlays").rglob("kustomization.yaml")
    manifests = {"-".join(file.parts[-3:-1]): kubectl("kustomize", str(file.parent)) for file in files}
    validate(manifests, schemas, tmp_path)


def test_chart_matches_the_clusters_schemas(schemas: Path, tmp_path: Path) -> None:
    chart = ROOT / "helm" / NAME
    template = ("helm", "template", NAME, str(chart), "-n", NAME, "-f")
    manifests = {values.stem: run(*template, str(values)) for values in (chart / "ci").iterdir()}
    validate(manifests, schemas, tmp_path)
