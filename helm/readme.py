"""Writes the chart's README and the schema's descriptions from its values: ``python helm/readme.py``."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "linear-regressor"
SCHEMA = CHART / "values.schema.json"
RESTARTS = " [restarts]"
COMMENT = re.compile(r"^ *# (?P<begins>-- )?(?P<text>.*)$")
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")

TEXT = """# linear-regressor

{description}.

Needs Kubernetes 1.32 (the rollout job 1.33), KServe 0.20 in Standard mode and, for routes, the Gateway API.

```console
$ make image push REGISTRY=registry.example.com/team
$ kubectl create namespace linear-regressor
$ kubectl label namespace linear-regressor pod-security.kubernetes.io/enforce=restricted
$ helm install linear-regressor helm/linear-regressor -n linear-regressor \\
    --set image.registry=registry.example.com/team \\
    --set model.storageUri=s3://prices/models/linear-regressor/1/ --set storage.secretName=store
$ helm test linear-regressor -n linear-regressor
```

`docs/deployment.md` describes the objects, the gateways and how a version is promoted. The chart refuses a
key that is not below, a value of another type, and values that contradict each other.

A change of a value marked ⟳ replaces the predictor's pods by a rollout. A component (`rollout`, `retraining`,
`mlflow`, `test`) whose own value is `null` has the value of the same name on the first level.

| value | default | |
|---|---|---|
{rows}
"""


def comments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each value and its comment, for those that have one."""
    path: list[str] = []
    pending: list[str] = []
    for line in text.splitlines():
        if comment := COMMENT.match(line):
            pending = [] if comment["begins"] else pending
            pending.append(comment["text"])
        elif key := KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            if pending:
                yield ".".join(path), " ".join(pending)
            pending = []
        else:
            pending = []


def default(values: Any, path: str) -> Any:
    """Look a value up by its path."""
    for key in path.split("."):
        values = values[key]
    return values


def row(values: Any, path: str, about: str) -> str:
    """Return the README's row of a value."""
    mark = " ⟳" if about.endswith(RESTARTS) else ""
    return f"| `{path}`{mark} | `{json.dumps(default(values, path))}` | {about.removesuffix(RESTARTS)} |"


def render() -> str:
    """Return the README."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [row(values, path, about) for path, about in comments(text)]
    description = yaml.safe_load((CHART / "Chart.yaml").read_text())["description"]
    return TEXT.format(description=description, rows="\n".join(rows))


def describe(schema: Any) -> Any:
    """Return the schema of the values with the comments as descriptions."""
    schema = copy.deepcopy(schema)
    for path, about in comments((CHART / "values.yaml").read_text()):
        value = schema
        for key in path.split("."):
            value = value["properties"][key]
        value["description"] = about.removesuffix(RESTARTS)
    return schema


if __name__ == "__main__":
    (CHART / "README.md").write_text(render())
    SCHEMA.write_text(json.dumps(describe(json.loads(SCHEMA.read_text())), indent=2) + "\n")
