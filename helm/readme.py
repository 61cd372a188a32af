"""Writes the chart's README from its values: ``python helm/readme.py``. A test holds it to them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "linear-regressor"
COMMENT = re.compile(r"^ *# (?P<begins>-- )?(?P<text>.*)$")
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")

TEXT = """# linear-regressor

{description}. KServe 0.20 or later in Standard mode, Kubernetes 1.32 or later; for routes the Gateway API.

```
kubectl create namespace linear-regressor
kubectl label namespace linear-regressor pod-security.kubernetes.io/enforce=restricted
helm install linear-regressor helm/linear-regressor -n linear-regressor \\
  --set model.storageUri=s3://BUCKET/linear-regressor/1/ --set storage.secretName=SECRET
helm test linear-regressor -n linear-regressor
```

What it makes, what each gateway does and how a version is promoted stands in `docs/deployment.md`. A key that
is not below, or a wrong type, is refused at installation.

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


def render() -> str:
    """Return the README."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [
        f"| `{path}` | `{json.dumps(default(values, path))}` | {about} |" for path, about in comments(text)
    ]
    description = yaml.safe_load((CHART / "Chart.yaml").read_text())["description"]
    return TEXT.format(description=description, rows="\n".join(rows))


if __name__ == "__main__":
    (CHART / "README.md").write_text(render())
