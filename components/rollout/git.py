"""Where Git owns what is served: the change as a diff, for somebody to commit."""

import json

from components.rollout.release import DIGEST, VERSION, Release


def difference(name: str, before: Release | None, release: Release) -> str:
    """What a commit would have to change, as the chart's values and as a kustomization's patch.

    Args:
        name: of the InferenceService.
        before: what is said now.
        release: what should be said.
    """
    old = before or Release("", "", "")
    pairs = (("version", old.version, release.version), ("storageUri", old.uri, release.uri))
    values = [line for key, was, is_now in pairs for line in _lines(f"    {key}: ", was, is_now)]
    chart = ["# helm: values.yaml", "  model:", *values]
    patch = [
        "# kustomize: kustomization.yaml",
        *(f"+ {line}" for line in overlay(name, release).splitlines()),
    ]
    return "\n".join([*chart, *patch, ""])


def overlay(name: str, release: Release) -> str:
    """The entry of a kustomization's ``patches`` that says a release."""
    operations = [
        ("/metadata/annotations/" + VERSION.replace("/", "~1"), release.version),
        ("/metadata/annotations/" + DIGEST.replace("/", "~1"), release.digest),
        ("/spec/predictor/model/storageUri", release.uri),
    ]
    lines = [f"- target: {{kind: InferenceService, name: ^{name}$}}", "  patch: |"]
    lines += [f"    - {{op: add, path: {path}, value: {json.dumps(value)}}}" for path, value in operations]
    return "\n".join(lines)


def _lines(key: str, was: str, is_now: str) -> list[str]:
    if was == is_now:
        return [f"  {key.strip()} {json.dumps(is_now)}"]
    return [f"-{key}{json.dumps(was)}", f"+{key}{json.dumps(is_now)}"]
