"""The chart of a release: its default images are the released ones, named by digest."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from delivery import version

IMAGES = {"predictor": "image", "registry": "mlflow.image", "pipeline": "rollout.image"}
"""Where the chart's values name each image."""

_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z./]+):(?P<value>.*)$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ChartError(Exception):
    """A chart that can't be packaged as a release."""


def package(
    root: Path, target: Path, registry: str, digests: Mapping[str, str], source: str, notes: str
) -> Path:
    """Package the chart into the folder ``target``; returns the archive. Needs helm.

    Args:
        root: of the repository.
        target: a folder.
        registry: of the images, such as ghcr.io/team.
        digests: of the images, by the names in ``IMAGES``.
        source: the address of the repository.
        notes: what changed, in the form of CHANGELOG.md.

    Raises:
        ChartError: a digest is missing or none, or helm refuses the chart.
    """
    for name in IMAGES:
        if not _DIGEST.fullmatch(digests.get(name, "")):
            raise ChartError(f"the digest of the image {name} is {digests.get(name)!r}, not sha256:…")
    chart = root / "helm" / "linear-regressor"
    copy = target / "chart" / chart.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(chart, copy)
    values = {"image.registry": registry}
    values |= {f"{place}.digest": digests[name] for name, place in IMAGES.items()}
    _edit(copy / "values.yaml", values)
    now = version.current(root)
    _edit(
        copy / "Chart.yaml",
        {
            "home": source,
            "sources": [source],
            "annotations.artifacthub.io/prerelease": str("-" in now).lower(),
            "annotations.artifacthub.io/changes": changes(notes),
        },
    )
    command = ["helm", "package", str(copy), "--destination", str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ChartError(f"helm package: {done.stderr.strip()}")
    shutil.rmtree(copy.parent)
    return target / f"{chart.name}-{now}.tgz"


def changes(notes: str) -> str:
    """Return the notes as Artifact Hub reads them: the lists below Added, Changed, Fixed and so on."""
    found: list[dict[str, str]] = []
    kind = ""
    for line in notes.splitlines():
        if line.startswith("### "):
            kind = line.removeprefix("### ").strip().lower()
        elif line.startswith("- "):
            found.append({"kind": kind, "description": line.removeprefix("- ")})
        elif line.startswith("  ") and found:
            found[-1]["description"] += f" {line.strip()}"
    return json.dumps(found)


def _edit(file: Path, values: Mapping[str, object]) -> None:
    """Set values in a YAML file, and keep its comments; JSON is YAML."""
    left = dict(values)
    lines: list[str] = []
    path: list[str] = []
    inside: int | None = None
    for line in file.read_text().splitlines():
        indent = len(line) - len(line.lstrip())
        if inside is not None and (
            indent > inside or line.startswith(f"{' ' * inside}- ") or not line.strip()
        ):
            continue  # the value that is replaced goes on
        inside = None
        if key := _KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            if (name := ".".join(path)) in left:
                inside = indent
                line = f"{key['indent']}{key['key']}: {json.dumps(left.pop(name))}"
        lines.append(line)
    if left:
        raise ChartError(f"{file.name} has no {', '.join(sorted(left))}")
    file.write_text("\n".join(lines) + "\n")
