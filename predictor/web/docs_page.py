"""Renders the OpenAPI document as a page. The page loads no other resources and works without JavaScript."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from predictor.web.html import Page, render, text

METHODS = ("get", "post", "patch")
LOCAL = "http://localhost:8080"
WIDE = 100
"""The longest example on a single line, in characters."""

Json = Mapping[str, Any]


def docs(document: Json) -> Page:
    """Render an OpenAPI document as an API reference, each operation with a curl command and a response."""
    info, tags = document["info"], [tag["name"] for tag in document["tags"]]
    return render(
        "docs.html",
        ("common.js",),
        title=text(info["title"]),
        version=text(info["version"]),
        description=text(info["description"]),
        contents="".join(_contents(document, tag) for tag in tags),
        body="".join(_section(document, tag) for tag in document["tags"]),
        errors="".join(_error(*found) for found in _errors(document)),
        schemas="".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
    )


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    """Yield the operations with a tag: path, method and operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if tag in (operation := item.get(method, {})).get("tags", ()):
                yield path, method, operation


def _contents(document: Json, tag: str) -> str:
    links = "".join(
        f'<li><a href="#{text(operation["operationId"])}">{_path(path)}</a></li>'
        for path, _, operation in _operations(document, tag)
    )
    return f"<h2>{text(tag)}</h2><ul>{links}</ul>"


def _section(document: Json, tag: Json) -> str:
    operations = "".join(_operation(*found) for found in _operations(document, tag["name"]))
    return f"<section><h2>{text(tag['name'])}</h2><p>{text(tag['description'])}</p>{operations}</section>"


def _operation(path: str, method: str, operation: Json) -> str:
    identity = text(operation["operationId"])
    calls = "".join(
        _code(f"{identity}-{i}", label, call)
        for i, (label, call) in enumerate(_calls(path, method, operation))
    )
    success = operation["responses"]["200"]
    responses = "".join(
        _code("", media, _pretty(media, example))
        for media, content in success["content"].items()
        for example in _examples(content)
    )
    errors = ", ".join(
        f'<a href="#error-{status}">{status}</a>' for status in operation["responses"] if status != "200"
    )
    summary = operation["summary"] + ("" if operation["summary"].endswith("?") else ".")
    return f"""<article id="{identity}">
<h3><span class="method {method}">{method.upper()}</span> {_path(path)}</h3>
<p><strong>{text(summary)}</strong> {text(operation.get("description", ""))}</p>
{_parameters(operation["parameters"])}{calls}
<p class="label">Response: {text(success["description"])} Errors: {errors}.</p>{responses}
</article>"""


def _parameters(parameters: list[Json]) -> str:
    if not parameters:
        return ""
    items = "".join(
        f"<div><dt><code>{text(parameter['name'])}</code> in the {text(parameter['in'])}</dt>"
        f"<dd>{text(parameter['description'])}</dd></div>"
        for parameter in parameters
    )
    return f"<dl>{items}</dl>"


def _calls(path: str, method: str, operation: Json) -> Iterator[tuple[str, str]]:
    """Yield curl commands to paste, one for each type of body, with that type as a label."""
    address = path
    for parameter in operation["parameters"]:
        address = address.replace(f"{{{parameter['name']}}}", quote(_value(parameter), safe="[],"))
    url = f"'{LOCAL}{address}'" if "[" in address else LOCAL + address
    method_words = [] if method == "get" else [f"-X {method.upper()}"]
    words = ["curl", *(["-g"] if "[" in address else []), url]
    if {} not in operation.get("security", [{}]):
        words.append('-H "Authorization: Bearer $TOKEN"')
    bodies = operation.get("requestBody", {}).get("content", {})
    if not bodies:
        yield "", " ".join([*words, *method_words])
    for media, content in bodies.items():
        # curl sends a body with POST by default.
        chosen = [] if method == "post" else method_words
        yield media, " ".join([*words, *chosen, *_body_words(media, content)])


def _body_words(media: str, content: Json) -> Iterator[str]:
    """Yield the words of a curl command that send an example of a body."""
    example = next(_examples(content), None)
    if media == "application/json":
        yield f"-d {shlex.quote(json.dumps(example))}"
        return
    yield f"-H 'Content-Type: {media}'"
    if media == "application/octet-stream":
        yield '-H "Inference-Header-Content-Length: $LENGTH"'
    yield f"--data-binary {'@FILE' if example is None else shlex.quote(example.rstrip(chr(10)))}"


def _value(parameter: Json) -> str:
    """Return an example of a path parameter."""
    if values := parameter["schema"].get("enum"):
        return str(values[0])
    return str(next(_examples(parameter), parameter["name"].upper()))


def _examples(content: Json) -> Iterator[Any]:
    return (example["value"] for example in content.get("examples", {}).values())


def _pretty(media: str, example: Any) -> str:
    if media != "application/json":
        return str(example)
    short = json.dumps(example, ensure_ascii=False)
    return short if len(short) <= WIDE else json.dumps(example, ensure_ascii=False, indent=2)


def _code(identity: str, label: str, content: str) -> str:
    shown = text(content).replace(LOCAL, f"<span data-base>{LOCAL}</span>")
    caption = f'<p class="label">{text(label)}</p>' if label else ""
    if not identity:
        return f"{caption}<pre><code>{shown}</code></pre>"
    button = f'<button type="button" class="copy scripted" data-copy="{identity}">Copy</button>'
    return f'{caption}<div class="code"><pre><code id="{identity}">{shown}</code></pre>{button}</div>'


def _errors(document: Json) -> list[tuple[str, str]]:
    """Return the statuses of errors with their meanings."""
    responses = document["components"]["responses"]
    found = {
        status: responses[response["$ref"].rpartition("/")[2]]["description"]
        for item in document["paths"].values()
        for method in METHODS
        for status, response in item.get(method, {}).get("responses", {}).items()
        if "$ref" in response
    }
    return sorted(found.items())


def _error(status: str, meaning: str) -> str:
    return (
        f'<div id="error-{text(status)}"><dt><code>{text(status)}</code></dt><dd>{text(meaning)}</dd></div>'
    )


def _schema(name: str, schema: Json) -> str:
    content = text(json.dumps(schema, ensure_ascii=False, indent=2))
    return f"<details><summary>{text(name)}</summary><pre><code>{content}</code></pre></details>"


def _path(path: str) -> str:
    """Return a path with line breaks allowed after its slashes."""
    return f"<code>{text(path).replace('/', '/<wbr>')}</code>"
