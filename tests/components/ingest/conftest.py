import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., str]:
    """Write lines as a CSV file, by default thirty good rows of bmi and target; returns its path."""

    def write_csv(*lines: str, name: str = "rows.csv", header: str = "bmi,target", good: int = 30) -> str:
        rows = [f"{row}.5,{3 * row + row % 7}" for row in range(good)]
        path = tmp_path / name
        path.write_text("\n".join((header, *rows, *lines, "")), encoding="utf-8")
        return str(path)

    return write_csv


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder over HTTP, without range requests; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
