"""Stores files in a folder or in a bucket. A stored file is complete, or it does not exist."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

Put = Callable[[str, bytes], None]
"""Stores bytes under a name with slashes, or raises."""


def open_store(url: str) -> Put:
    """Return a function that stores files below a URL.

    Args:
        url: a folder, or ``s3://``, ``gs://`` or ``az://`` with bucket and prefix. Credentials come from the
            environment variables of the respective tools, such as ``AWS_ACCESS_KEY_ID``.

    Raises:
        ValueError: the kind of URL is not supported.
    """
    if "://" not in url:
        return _folder_store(Path(url))
    # Imported only if needed: it is large.
    import obstore
    from obstore.store import from_url

    plain_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    store = from_url(url, client_options={"allow_http": True} if plain_http else None)

    def put(name: str, content: bytes) -> None:
        obstore.put(store, name, content)

    return put


def _folder_store(root: Path) -> Put:
    def put(name: str, content: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).rename(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    return put
