import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from predictor.auth import SCOPES, Gate, Keys, credential_of
from predictor.errors import NotFound, Unauthorized
from predictor.settings import Settings


def line(key: str, scopes: str = "predict") -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()} name {scopes}\n"


def test_a_file_of_keys_that_can_not_be_read_leaves_those_known_before(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line("a"))
    keys = Keys(file)
    for spoilt in ("nonsense\n", line("b", "everything"), "abcd name predict\n"):
        file.write_text(spoilt * 2)
        keys.refresh()
        assert keys.find(b"a") is not None
        assert keys.find(b"b") is None
    file.unlink()
    keys.refresh()
    assert keys.find(b"a") is not None


def test_without_anybody_who_could_be_admin_administration_does_not_exist() -> None:
    with pytest.raises(NotFound):
        Gate().admit("admin", {b"authorization": b"Bearer x"})
    with pytest.raises(Unauthorized):
        Gate(admin_token="t").admit("admin", {b"authorization": b"Bearer x"})
    principal = Gate(admin_token="t").admit("admin", {b"authorization": b"bearer t"})
    assert principal is not None
    assert principal.scopes == SCOPES


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({}, None),
        ({b"authorization": b"Bearer"}, None),
        ({b"authorization": b"Bearer  "}, None),
        ({b"authorization": b"Basic x"}, None),
        ({b"authorization": b"BEARER x"}, b"x"),
        ({b"x-api-key": b"y"}, b"y"),
        ({b"authorization": b"Bearer x", b"x-api-key": b"y"}, b"x"),
    ],
)
def test_where_a_credential_stands(headers: dict[bytes, bytes], credential: bytes | None) -> None:
    assert credential_of(headers) == credential


def test_settings_that_would_let_nobody_or_anybody_in_are_refused() -> None:
    with pytest.raises(ValidationError, match="auth is required"):
        Settings(auth="required")
    with pytest.raises(ValidationError, match="jwt_issuer and jwt_audience"):
        Settings(auth="required", jwks="keys.json")
