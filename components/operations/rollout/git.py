"""Writes the change of version as a diff to commit, where Git owns what is served."""

import difflib
from typing import TYPE_CHECKING

from components.operations.rollout.errors import RolloutError
from components.operations.rollout.release import DIGEST, VERSION, Release

if TYPE_CHECKING:
    from yaml.nodes import Node, ScalarNode

# The two ways to say it: the chart's values, and a patch of the InferenceService.
VALUES = "model:\n  version: {version}\n  storageUri: {uri}\n"
PATCH = f"""metadata:
  annotations:
    {VERSION}: {{version}}
    {DIGEST}: {{digest}}
spec:
  predictor:
    model:
      storageUri: {{uri}}
"""
EXAMPLES = {"values.yaml": VALUES, "version.yaml": PATCH}


def example(before: Release | None, release: Release) -> str:
    """Return the change of example files with nothing but the version.

    Args:
        before: the release that they name now.
        release: the release that they should name.
    """
    old = before or Release("", "", "")
    said = {"version": f'"{old.version}"', "digest": f'"{old.digest}"', "uri": old.uri or '""'}
    return "".join(difference(name, text.format(**said), release) for name, text in EXAMPLES.items())


def difference(name: str, text: str, release: Release) -> str:
    """Return the change of a file as a diff for ``git apply``; empty if it names the release already.

    Args:
        name: of the file, from the root of its repository.
        text: its content.
        release: the release that it should name.

    Raises:
        RolloutError: it has no storageUri.
    """
    old, new = text.splitlines(keepends=True), rewrite(name, text, release).splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def rewrite(name: str, text: str, release: Release) -> str:
    """Return the file's text with another release; comments and everything else stay.

    Raises:
        RolloutError: it has no storageUri, neither as the chart's values do nor as an InferenceService does.
    """
    import yaml

    marks = ("metadata", "annotations")
    places = {
        ("model", "storageUri"): release.uri,
        ("model", "version"): release.version,
        ("spec", "predictor", "model", "storageUri"): release.uri,
        (*marks, VERSION): release.version,
        (*marks, DIGEST): release.digest,
    }
    try:
        documents = list(yaml.compose_all(text))
    except yaml.YAMLError as error:
        raise RolloutError(f"{name} is not valid YAML: {error}") from error
    found = [
        (node, value)
        for document in documents
        if _find(document, ("model", "storageUri"))
        or _find(document, ("spec", "predictor", "model", "storageUri"))
        for path, value in places.items()
        if (node := _find(document, path))
    ]
    if not found:
        raise RolloutError(f"{name} has neither model.storageUri nor spec.predictor.model.storageUri")
    for node, value in sorted(found, key=lambda change: -change[0].start_mark.index):
        start, end = node.start_mark.index, node.end_mark.index
        gap = " " if start == end else ""
        text = text[:start] + gap + _written(node, value) + text[end:]
    return text


def _find(node: "Node | None", path: tuple[str, ...]) -> "ScalarNode | None":
    from yaml.nodes import MappingNode, ScalarNode

    for key in path:
        if not isinstance(node, MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node if isinstance(node, ScalarNode) else None


def _written(node: "ScalarNode", value: str) -> str:
    """Return a string, quoted unless the replaced one was plain and this one can be, too."""
    import yaml

    plain = node.style is None and node.value and yaml.safe_load(value) == value
    return value if plain else f'"{value}"'
