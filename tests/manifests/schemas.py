"""Strict JSON schemas of the rendered kinds: no unknown field, at any depth.

``schemas.json`` is made from Kubernetes 1.34, KServe 0.20, Gateway API 1.4, Prometheus operator 0.90, KEDA
2.21, Argo CD 3.5, and helm-controller 1.6 and source-controller 1.9 of Flux (all under the Apache License
2.0), without descriptions and formats::

    python -m tests.manifests.schemas swagger.json CRD.yaml ...
"""

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

FILE = Path(__file__).with_suffix(".json")
KINDS = {
    *("ServiceAccount", "ConfigMap", "Service", "PersistentVolumeClaim", "Pod", "Deployment", "CronJob"),
    *("PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "Ingress", "Role", "RoleBinding"),
    *("Lease", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
}
KEYWORDS = {
    *("type", "properties", "items", "additionalProperties", "required", "enum", "pattern", "$ref", "anyOf"),
    *("oneOf", "allOf", "not", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
}
UNTYPED: dict[str, Any] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}
METADATA = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
# An InferenceService repeats the specification of a pod in each of these, which are not used here.
UNUSED = {"workerSpec", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface"}
UNUSED |= {"pmml", "lightgbm", "paddle"}


def strict(schema: Any) -> Any:
    """Return a schema that rejects unknown fields at every depth."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    kept = {key: strict(value) for key, value in schema.items() if key in KEYWORDS - {"properties"}}
    if "properties" in schema:
        kept["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.pop("additionalProperties", None)
    elif "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def of_kubernetes(swagger: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schemas of the built-in kinds, and the definitions that they refer to."""
    kinds: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, schema in swagger["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            version = "/".join(filter(None, (kind["group"], kind["version"])))
            if kind["kind"] in KINDS and re.fullmatch(r"v\d", kind["version"]):
                kinds[f"{version}/{kind['kind']}"] = {"$ref": f"#/definitions/{name}"}
    needed = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(kinds)))
    while needed - definitions.keys():
        for name in needed - definitions.keys():
            definitions[name] = UNTYPED.get(name) or strict(swagger["definitions"][name])
        needed = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps([kinds, definitions])))
    return kinds, definitions


def of_definition(crd: Any) -> Iterator[tuple[str, Any]]:
    """Yield the schema of each version of a CustomResourceDefinition."""
    for version in crd["spec"]["versions"]:
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] = {**schema["properties"], "metadata": METADATA}
        schema["properties"].pop("status", None)
        kind = crd["spec"]["names"]["kind"]
        if kind == "InferenceService":
            predictor = schema["properties"]["spec"]["properties"]["predictor"]
            predictor["properties"] = {
                name: value for name, value in predictor["properties"].items() if name not in UNUSED
            }
            schema["properties"]["spec"]["properties"] = {"predictor": predictor}
        yield f"{crd['spec']['group']}/{version['name']}/{kind}", schema


def shared(schema: Any, pool: dict[str, str]) -> Any:
    """Return a schema whose larger parts are references into a pool, each part once."""
    if isinstance(schema, list):
        return [shared(entry, pool) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: shared(value, pool) for key, value in schema.items()}
    text = json.dumps(inner, sort_keys=True)
    if "properties" not in inner or len(text) < 300:
        return inner
    return {"$ref": f"#/definitions/{pool.setdefault(text, f'shared.{len(pool)}')}"}


def write(swagger: Path, definitions: list[Path]) -> None:
    """Write the schemas, each on a line of its own."""
    kinds, built_in = of_kubernetes(json.loads(swagger.read_text()))
    pool: dict[str, str] = {}
    for file in definitions:
        for name, schema in of_definition(yaml.safe_load(file.read_text())):
            kinds[name] = shared(schema, pool)
    built_in |= {name: json.loads(text) for text, name in pool.items()}

    def lines(schemas: dict[str, Any]) -> str:
        return ",\n".join(
            f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(schemas.items())
        )

    FILE.write_text(f'{{"kinds": {{\n{lines(kinds)}\n}}, "definitions": {{\n{lines(built_in)}\n}}}}\n')


@cache
def _validators() -> dict[str, Draft7Validator]:
    schemas = json.loads(FILE.read_text())
    return {
        kind: Draft7Validator({**schema, "definitions": schemas["definitions"]})
        if "$ref" not in schema
        else Draft7Validator({"allOf": [schema], "definitions": schemas["definitions"]})
        for kind, schema in schemas["kinds"].items()
    }


def problems(item: dict[str, Any]) -> list[str]:
    """Return what is wrong with an object; a kind without a schema is wrong too."""
    kind = f"{item['apiVersion']}/{item['kind']}"
    if kind not in _validators():
        return [f"{kind} has no schema"]
    name = item["metadata"]["name"]
    return [
        f"{kind} {name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in _validators()[kind].iter_errors(item)
    ]


if __name__ == "__main__":
    write(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
