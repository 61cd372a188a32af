"""What tells, without reading it, whether a source is what it was: KFP's cache goes by it."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

import components
from components.data.sources.source import SCIKIT_LEARN

PACKAGES = ("numpy", "pyarrow", "scikit-learn")
# By these names the file systems tell of an object's content.
MARKS = ("ETag", "etag", "md5Hash", "generation", "content_hash")


def state(source: str | Sequence[str]) -> str:
    """Tell the state of one or several sources and of the code that reads them.

    Of a source that says nothing about its content, such as most web servers, no two states are equal.

    Returns:
        A SHA-256, as hexadecimal digits.
    """
    uris = [source] if isinstance(source, str) else source
    known = [_code(), *(mark for uri in uris for mark in _marks(uri))]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _marks(uri: str) -> list[str]:
    if uri.startswith(SCIKIT_LEARN):
        return [uri]
    try:
        system, path = url_to_fs(uri)
        found = {path: system.info(path)}
        if found[path].get("type") == "directory":
            found = system.find(path, detail=True)
    except Exception:  # noqa: BLE001 - each file system has its own; whoever reads it says what is wrong
        return [secrets.token_hex()]
    return [f"{name} {_mark(found[name])}" for name in sorted(found)]


def _mark(info: Mapping[str, Any]) -> str:
    for name in MARKS:
        if info.get(name):
            return str(info[name])
    if "ino" in info:
        return f"{info['ino']} {info['size']} {info['mtime']}"
    return secrets.token_hex()


@cache
def _code() -> str:
    """The digest of our code, which may change under an image's name, and of what it computes with."""
    digest = hashlib.sha256(" ".join(map(version, PACKAGES)).encode())
    root = Path(components.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
