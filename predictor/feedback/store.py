"""Where batches are kept: a folder, or a bucket by its URL. A file is there whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

Put = Callable[[str, bytes], None]
"""Stores bytes under a name with slashes, or raises."""


def open_store(url: str) -> Put:
    """Make the function that stores.

    Args:
        url: a path, or ``s3://``, ``gs://``, ``az://`` with bucket and prefix; credentials are read from the
            environment as their own tools read them.

    Raises:
        ValueError: the URL is of no kind that is known.
    """
    if "://" not in url:
        return _in_folder(Path(url))
    # Large, and of no use to a server that keeps nothing.
    import obstore
    from obstore.store import from_url

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    store = from_url(url, client_options={"allow_http": True} if plain else None)

    def put(name: str, content: bytes) -> None:
        obstore.put(store, name, content)

    return put


def _in_folder(root: Path) -> Put:
    def put(name: str, content: bytes) -> None:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).rename(place)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    return put
