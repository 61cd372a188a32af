"""Predictors in processes of their own, which the tests of a worker share."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.models import linear_model
from tests.support.server import Server, api_key_line, start_predictor

ADMIN_TOKEN = "admin-token"


@pytest.fixture(scope="session")
def api_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two keys: alpha may predict, omega may do everything."""
    file = tmp_path_factory.mktemp("secret") / "keys"
    alpha, omega = (
        api_key_line("alpha", "a", "predict"),
        api_key_line("omega", "o", "predict,explain,admin"),
    )
    file.write_text(f"# two keys\n{alpha}{omega}")
    return file


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One feature: prediction = 938.25 * bmi + 152."""
    with start_predictor(admin_token=ADMIN_TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def wide_server() -> Iterator[Server]:
    """Three features: prediction = 2 * bmi + 3 * bp + 5 * s1 + 7; default settings, so nobody is admin."""
    with start_predictor(linear_model((2.0, 3.0, 5.0), 7.0)) as running:
        yield running


@pytest.fixture(scope="session")
def limited_server(api_keys: Path) -> Iterator[Server]:
    """Limits that a test can reach, and optional credentials."""
    with start_predictor(
        flags=("--timeout-keep-alive", "600"),
        max_body_bytes=2**20,
        max_header_bytes=4096,
        max_connections=20,
        write_seconds=1,
        queue=1,
        auth="optional",
        api_keys=api_keys,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def hasty_server() -> Iterator[Server]:
    """Clients have a second to send a body and to read an answer."""
    with start_predictor(head_seconds=5, read_seconds=1, answer_seconds=1, write_seconds=1) as running:
        yield running


@pytest.fixture(scope="session")
def small_server() -> Iterator[Server]:
    """A server with little memory for bodies, and few rows for a request."""
    with start_predictor(max_memory_bytes=2**21, max_rows=100, read_seconds=600) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.http as client:
        yield client


@pytest.fixture
def wide_client(wide_server: Server) -> Iterator[httpx.Client]:
    with wide_server.http as client:
        yield client


@pytest.fixture
def admin_header() -> dict[str, str]:
    """The header that authenticates an administrator of ``server``."""
    return {"Authorization": f"Bearer {ADMIN_TOKEN}"}
