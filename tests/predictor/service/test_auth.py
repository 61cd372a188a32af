import base64
import functools
import hashlib
import http.server
import json
import logging
import threading
import time
import types
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from predictor.errors import Forbidden, NotFound, Unauthorized
from predictor.messages import Principal
from predictor.service.auth import (
    ANONYMOUS,
    ANYBODY,
    LABEL_ALL,
    NO_GRANT,
    SCOPES,
    ApiKeys,
    Authorizer,
    CachedGrant,
    JsonWebTokens,
    credential_of,
    jwks_reader,
)


def line(key: str, scopes: str = "predict") -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()} name {scopes}\n"


def test_invalid_or_missing_key_file_keeps_the_previous_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line("a"))
    keys = ApiKeys(file)
    for invalid in ("nonsense\n", line("b", "everything"), "abcd name predict\n"):
        file.write_text(invalid * 2)
        keys.refresh()
        assert keys.find(b"a") is not None
        assert keys.find(b"b") is None
    file.unlink()
    keys.refresh()
    assert keys.find(b"a") is not None


def test_log_says_how_many_keys_there_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys"
    caplog.set_level(logging.INFO)
    for names in ("a", "ab"):
        file.write_text("".join(map(line, names)))
        ApiKeys(file)
    assert [record.getMessage() for record in caplog.records] == ["loaded 1 API key", "loaded 2 API keys"]


def test_admin_paths_do_not_exist_without_admin_credentials() -> None:
    with pytest.raises(NotFound):
        Authorizer().authorize("admin", {b"authorization": b"Bearer x"})
    with pytest.raises(Unauthorized):
        Authorizer(admin_token="t").authorize("admin", {b"authorization": b"Bearer x"})
    grant = Authorizer(admin_token="t").authorize("admin", {b"authorization": b"bearer t"})
    assert grant.principal == Principal("admin", SCOPES)


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    (tmp_path / "keys").write_text(line("reader") + line("admin", "predict,admin"))
    return ApiKeys(tmp_path / "keys")


def test_credential_grants_only_its_own_scopes(keys: ApiKeys) -> None:
    authorizer = Authorizer("required", sources=(keys,))
    for key, scope in ((b"reader", "predict"), (b"admin", "predict"), (b"admin", "admin")):
        assert authorizer.authorize(scope, {b"x-api-key": key}).principal == keys.find(key)
    for key, scope in ((b"reader", "explain"), (b"reader", "admin"), (b"admin", "feedback")):
        with pytest.raises(Forbidden, match=scope):
            authorizer.authorize(scope, {b"x-api-key": key})


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
def test_mode_decides_whether_a_credential_is_needed(keys: ApiKeys, mode: Any) -> None:
    authorizer = Authorizer(mode, sources=(keys,))
    nobody = ANYBODY if mode == "off" else ANONYMOUS
    assert authorizer.authorize("public", {}).principal == nobody
    for headers, refused_in in (({}, ("required",)), ({b"x-api-key": b"?"}, ("optional", "required"))):
        if mode in refused_in:
            with pytest.raises(Unauthorized):
                authorizer.authorize("predict", headers)
        else:
            assert authorizer.authorize("predict", headers).principal == nobody


def test_only_where_auth_is_off_anybody_may_label_the_predictions_of_all() -> None:
    assert LABEL_ALL in ANYBODY.scopes
    assert LABEL_ALL not in ANONYMOUS.scopes
    assert "feedback" in ANONYMOUS.scopes
    assert not {"admin"} & (ANYBODY.scopes | ANONYMOUS.scopes)


def test_scope_to_label_all_predictions_includes_the_one_to_label_ones_own(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(line("labels", LABEL_ALL) + line("own", "feedback"))
    authorizer = Authorizer("required", sources=(ApiKeys(tmp_path / "keys"),))
    found = authorizer.authorize("feedback", {b"x-api-key": b"labels"}).principal
    assert found.scopes == {"feedback", LABEL_ALL}
    assert authorizer.authorize("feedback", {b"x-api-key": b"own"}).principal.scopes == {"feedback"}


def test_keys_open_no_admin_paths_when_auth_is_off(keys: ApiKeys) -> None:
    with pytest.raises(NotFound):
        Authorizer("off", sources=(keys,)).authorize("admin", {b"x-api-key": b"admin"})
    grant = Authorizer("optional", sources=(keys,)).authorize("admin", {b"x-api-key": b"admin"})
    assert grant.principal == keys.find(b"admin")


def test_cached_grant_ends_when_keys_change_or_the_credential_expires(keys: ApiKeys) -> None:
    authorizer = Authorizer("required", sources=(keys,))
    unlimited = CachedGrant(authorizer.generation, ANYBODY)
    assert authorizer.honors(unlimited)
    for seconds in (60, -1):
        grant = CachedGrant(authorizer.generation, ANYBODY._replace(expires=time.time() + seconds))
        assert authorizer.honors(grant) == (seconds > 0)
    assert not authorizer.honors(NO_GRANT)
    keys.refresh()
    assert authorizer.honors(unlimited), "the file has not changed"
    replacement = keys.file.with_name("new")
    replacement.write_text(line("other"))
    replacement.replace(keys.file)
    keys.refresh()
    assert not authorizer.honors(unlimited)
    assert keys.find(b"reader") is None
    assert keys.find(b"other") is not None


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
def test_credential_comes_from_the_authorization_or_api_key_header(
    headers: dict[bytes, bytes], credential: bytes | None
) -> None:
    assert credential_of(headers) == credential


ISSUER, AUDIENCE = "https://issuer.example", "predictor"


@functools.cache
def private_key(_name: str) -> rsa.RSAPrivateKey:
    """The key of a name; generating one takes longer than the tests that use it."""
    return rsa.generate_private_key(65537, 2048)


class Issuer:
    """Signs tokens, and serves the keys for them, or fails to."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.fails = False
        self.asked = 0

    def add(self, name: str) -> None:
        self.keys[name] = private_key(name)

    def document(self) -> dict[str, Any]:
        self.asked += 1
        if self.fails:
            raise OSError("unreachable")
        public = {
            name: jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()) for name, key in self.keys.items()
        }
        return {"keys": [json.loads(key) | {"kid": name, "alg": "RS256"} for name, key in public.items()]}

    def token(self, name: str, **changes: Any) -> bytes:
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "me", "scope": "predict", "exp": 4e9} | changes
        return jwt.encode(claims, self.keys[name], algorithm="RS256", headers={"kid": name}).encode()


@pytest.fixture
def issuer() -> Issuer:
    made = Issuer()
    made.add("old")
    return made


def tokens(issuer: Issuer) -> JsonWebTokens:
    return JsonWebTokens(issuer.document, ISSUER, AUDIENCE, ("RS256",))


def test_token_with_an_unknown_key_id_requests_a_refresh(issuer: Issuer) -> None:
    known = tokens(issuer)
    issuer.add("new")
    assert known.find(issuer.token("new")) is None
    requested = known.refresh_requested
    known.refresh()
    assert (requested, known.refresh_requested) == (True, False)
    assert known.find(issuer.token("new")) == Principal("jwt:me", frozenset({"predict"}), 4e9)


@pytest.mark.parametrize("scope", ["predict feedback:all", ["predict", "feedback:all"]])
def test_token_to_label_all_predictions_may_label_its_own(issuer: Issuer, scope: Any) -> None:
    found = tokens(issuer).find(issuer.token("old", scope=scope))
    assert found is not None
    assert found.scopes == {"predict", "feedback", LABEL_ALL}


def test_refuses_a_token_whose_subject_can_not_be_stored(issuer: Issuer) -> None:
    assert tokens(issuer).find(issuer.token("old", sub="\ud800")) is None


def test_removed_keys_invalidate_verified_tokens(issuer: Issuer) -> None:
    known, token = tokens(issuer), issuer.token("old")
    authorizer = Authorizer("required", sources=(known,))
    assert ask(authorizer, token).name == "jwt:me"
    issuer.add("new")
    del issuer.keys["old"]
    known.refresh()
    with pytest.raises(Unauthorized):
        ask(authorizer, token)


def test_unreachable_issuer_keeps_the_previous_keys(issuer: Issuer) -> None:
    known = tokens(issuer)
    issuer.fails = True
    known.refresh()
    assert known.find(issuer.token("old")) is not None


def test_unchanged_keys_keep_the_generation(issuer: Issuer) -> None:
    known = tokens(issuer)
    before = known.generation
    known.refresh()
    assert (issuer.asked, known.generation) == (2, before)


def ask(authorizer: Authorizer, token: bytes) -> Principal:
    return authorizer.authorize("predict", {b"authorization": b"Bearer " + token}).principal


def test_verifies_a_token_once_and_caches_a_bounded_number(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictor.service.auth._CACHED_GRANTS", 3)
    known = tokens(issuer)
    authorizer = Authorizer("required", sources=(known,))
    sent = [issuer.token("old", sub=str(i)) for i in range(10)]
    assert [ask(authorizer, token).name for token in sent] == [f"jwt:{i}" for i in range(10)]
    monkeypatch.setattr(known, "find", lambda _credential: None)
    assert [ask(authorizer, token).name for token in sent[-3:]] == ["jwt:7", "jwt:8", "jwt:9"]
    with pytest.raises(Unauthorized):
        ask(authorizer, sent[0])


def test_verified_token_is_refused_once_it_expires(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    authorizer, token = Authorizer("required", sources=(tokens(issuer),)), issuer.token("old")
    assert ask(authorizer, token).name == "jwt:me"
    monkeypatch.setattr("predictor.service.auth.time.time", lambda: 4e9)
    issuer_clock = types.SimpleNamespace(now=lambda tz: datetime.fromtimestamp(4e9, tz))
    monkeypatch.setattr("jwt.api_jwt.datetime", issuer_clock)
    with pytest.raises(Unauthorized, match="expired"):
        ask(authorizer, token)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"keys": ' + "[" * 200_000,
        '{"keys": 5}',
        '{"keys": [5]}',
        '{"keys": [{"kty": ["RSA"]}]}',
        '{"keys": [{"kty": "RSA", "n": 1, "e": {}}]}',
        '{"keys": [{"kty": "EC", "crv": [], "x": "", "y": ""}]}',
        '{"keys": []}',
        "[]",
        "5",
        "",
    ],
)
def test_malformed_jwks_keeps_the_previous_keys(issuer: Issuer, tmp_path: Path, text: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(issuer.document()))
    known = JsonWebTokens(jwks_reader(str(file)), ISSUER, AUDIENCE, ("RS256",))
    file.write_text(text)
    known.refresh()
    assert known.find(issuer.token("old")) is not None


@pytest.mark.parametrize("key_id", [["old"], {}, 5, True])
def test_key_id_that_is_not_text_does_not_end_the_rotation(issuer: Issuer, key_id: Any) -> None:
    document = issuer.document()
    current = dict(document)
    known = JsonWebTokens(lambda: current, ISSUER, AUDIENCE, ("RS256",))
    current["keys"] = [document["keys"][0] | {"kid": key_id}]
    known.refresh()
    current |= document
    known.refresh()
    assert known.find(issuer.token("old")) is not None


@pytest.mark.parametrize(
    "header", [{"kid": ["old"]}, {"kid": {}}, {"kid": 5}, {"kid": "old", "crit": 5}, {"kid": "old", "b64": 0}]
)
def test_refuses_tokens_with_invalid_headers(issuer: Issuer, header: dict[str, Any]) -> None:
    _, claims, signature = issuer.token("old").split(b".")
    encoded = base64.urlsafe_b64encode(json.dumps({"alg": "RS256"} | header).encode()).rstrip(b"=")
    assert tokens(issuer).find(b".".join((encoded, claims, signature))) is None


@pytest.mark.parametrize("part", [0, 1])
def test_refuses_deeply_nested_tokens(issuer: Issuer, part: int) -> None:
    parts = issuer.token("old").split(b".")
    parts[part] = base64.urlsafe_b64encode(b"[" * 200_000).rstrip(b"=")
    assert tokens(issuer).find(b".".join(parts)) is None


@pytest.mark.parametrize(
    "claims", [{"iss": "https://other.example"}, {"aud": "other"}, {"exp": 1}, {"nbf": 4e9 - 1}]
)
def test_refuses_tokens_of_others_and_outside_of_their_time(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert tokens(issuer).find(issuer.token("old", **claims)) is None


def test_refuses_tokens_with_another_algorithm_or_signature(issuer: Issuer) -> None:
    known, token = tokens(issuer), issuer.token("old")
    claims, headers = jwt.decode(token, options={"verify_signature": False}), {"kid": "old"}
    unsigned = jwt.encode(claims, "", algorithm="none", headers=headers)
    symmetric = jwt.encode(claims, "a" * 64, algorithm="HS256", headers=headers)
    other = jwt.encode(claims, private_key("new"), algorithm="RS256", headers=headers)
    for forged in (unsigned.encode(), symmetric.encode(), other.encode(), token[:-4] + b"AAAA"):
        assert known.find(forged) is None
    assert known.find(token) is not None


@pytest.mark.parametrize(
    "claims", [{"exp": 10**400}, {"exp": "soon"}, {"scope": 7}, {"scope": [[]]}, {"scope": None}, {"aud": {}}]
)
def test_refuses_tokens_with_invalid_claims(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert tokens(issuer).find(issuer.token("old", **claims)) is None


@pytest.mark.parametrize("junk", [b"", b".", b"a.b.c", b"\xff.\xff.\xff", b"e30.e30.", b"." * 5000])
def test_refuses_strings_that_are_not_tokens(issuer: Issuer, junk: bytes) -> None:
    assert tokens(issuer).find(junk) is None


def test_reads_keys_from_a_url_and_refuses_bad_answers(issuer: Issuer) -> None:
    answers = [json.dumps(issuer.document()).encode(), b" " * (2**20 + 1), b"[]", b"\xff"]

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/0")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[int(self.path[1:])])

        def log_message(self, *_arguments: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert jwks_reader(f"{url}/0")() == issuer.document()
        for path in ("1", "2", "3"):
            with pytest.raises(ValueError, match=r"."):
                jwks_reader(f"{url}/{path}")()
        with pytest.raises(OSError, match="302"):
            jwks_reader(f"{url}/moved")()
        server.shutdown()
    with pytest.raises(OSError, match=r"."):
        jwks_reader(f"{url}/0")()
