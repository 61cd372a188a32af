"""Who is let in, over HTTP and gRPC."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

if TYPE_CHECKING:
    from tests.contract.conftest import Server, StartServer

NAME = "linear-regressor"
ISSUER, AUDIENCE = "https://issuer.example", "predictor"
CLOUD_EVENT = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "x", "ce-id": "1"}
KEY = rsa.generate_private_key(65537, 2048)


def key_line(key: str, name: str, scopes: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()} {name} {scopes}\n"


def token(**changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "me",
        "scope": "predict explain",
        "exp": time.time() + 600,
    }
    key = changes.pop("key", KEY)
    algorithm = changes.pop("algorithm", "RS256")
    return jwt.encode(claims | changes, key, algorithm=algorithm, headers={"kid": "1"})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "keys"
    file.write_text(
        "# two keys\n" + key_line("alpha", "a", "predict") + key_line("omega", "o", "predict,explain,admin")
    )
    return file


@pytest.fixture(scope="module")
def guarded(start_server: "StartServer", keys: Path) -> Iterator["Server"]:
    jwks = keys.parent / "jwks.json"
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
    jwks.write_text(json.dumps({"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]}))
    with start_server(
        auth="required",
        api_keys=keys,
        jwks=jwks,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        refresh_seconds=0.1,
    ) as running:
        yield running


@pytest.fixture
def asking(guarded: "Server") -> Iterator[httpx.Client]:
    with guarded.http as client:
        yield client


@pytest.fixture(scope="module")
def open_(start_server: "StartServer") -> Iterator[httpx.Client]:
    """A server without credentials, where nobody can be an administrator."""
    with start_server() as running, running.http as client:
        yield client


def predict(client: httpx.Client, headers: dict[str, str] | None = None) -> int:
    statuses = ask(client, headers)
    assert len(statuses) == 1
    return statuses.pop()


def ask(client: httpx.Client, headers: dict[str, str] | None) -> set[int]:
    """Ask in each of the ways a request comes in; while a credential comes or goes they may differ."""
    return {
        client.post("/stream", json={"instance": 0.5}, headers=headers).status_code,
        client.post("/stream", json={"instance": 0.5}, headers=headers).status_code,
        client.get("/stream/0.5", headers=headers).status_code,
        client.post("/stream", content=iter([b'{"instance":0.5}']), headers=headers).status_code,
    }


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def test_what_is_public_needs_no_credential(asking: httpx.Client) -> None:
    for path in ("/ping", "/", "/metrics", "/v2/health/ready", f"/v2/models/{NAME}", "/openapi.json"):
        assert asking.get(path).status_code == 200


def test_a_prediction_needs_a_known_key_in_either_header(asking: httpx.Client) -> None:
    assert predict(asking) == 401
    assert predict(asking, bearer("beta")) == 401
    assert predict(asking, bearer("alpha")) == 200
    assert predict(asking, {"X-API-Key": "alpha"}) == 200
    assert predict(asking, {"Authorization": "Basic alpha"}) == 401
    assert asking.post("/stream", json={}).headers["www-authenticate"] == "Bearer"


def test_a_key_opens_its_scopes_alone(asking: httpx.Client) -> None:
    explain = f"/v1/models/{NAME}:explain"
    body = {"instances": [1]}
    assert asking.post(explain, json=body, headers=bearer("alpha")).status_code == 403
    assert asking.post(explain, json=body, headers=bearer("omega")).status_code == 200
    assert asking.get("/log", headers=bearer("alpha")).status_code == 403
    assert asking.get("/log", headers=bearer("omega")).status_code == 200


def test_keys_are_rotated_without_a_restart(asking: httpx.Client, keys: Path) -> None:
    before = keys.read_text()
    fresh = keys.with_suffix(".new")
    fresh.write_text(before + key_line("gamma", "g", "predict"))
    fresh.rename(keys)
    while ask(asking, bearer("gamma")) != {200}:
        time.sleep(0.05)
    fresh.write_text(before)
    fresh.rename(keys)
    while ask(asking, bearer("gamma")) != {401}:
        time.sleep(0.05)
    assert predict(asking, bearer("alpha")) == 200


def test_a_token_is_let_in_until_it_expires(asking: httpx.Client) -> None:
    assert predict(asking, bearer(token())) == 200
    seconds = 2.0
    while 200 not in ask(asking, bearer(short := token(exp=time.time() + seconds))):
        seconds *= 2  # a machine that stalled for longer than the token lives
    while ask(asking, bearer(short)) != {401}:
        time.sleep(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"exp": 1},
        {"nbf": time.time() + 86400},
        {"key": rsa.generate_private_key(65537, 2048)},
        {"key": "a secret of at least thirty-two bytes", "algorithm": "HS256"},
        {"key": None, "algorithm": "none"},
    ],
)
def test_a_token_that_is_not_for_us_is_refused(asking: httpx.Client, changes: dict[str, Any]) -> None:
    assert predict(asking, bearer(token(**changes))) == 401


def test_a_token_without_the_scope_is_refused(asking: httpx.Client) -> None:
    assert predict(asking, bearer(token(scope="explain"))) == 403


@pytest.mark.parametrize(
    "path", [f"/v1/models/{NAME}:predict", f"/v1/models/{NAME}:explain", f"/v2/models/{NAME}/infer"]
)
def test_nothing_that_kserve_answers_itself_goes_past_the_gate(asking: httpx.Client, path: str) -> None:
    """A CloudEvent is KServe's, and so is a path that only its router's regular expressions match."""
    for other, headers in ((path, CLOUD_EVENT), (f"{path}%0A", {})):
        assert asking.post(other, json={"instances": [1]}, headers=headers).status_code == 401
        wrong = headers | bearer(token(scope=""))
        assert asking.post(other, json={"instances": [1]}, headers=wrong).status_code == 403


@pytest.mark.parametrize("headers", [{}, CLOUD_EVENT, {"content-type": "application/cloudevents+json"}])
@pytest.mark.parametrize("end", ["", "%0A", "/"])
@pytest.mark.parametrize("path", ["index", f"models/{NAME}/load", f"models/{NAME}/unload"])
def test_the_repository_is_closed_to_all_but_an_administrator(
    asking: httpx.Client, open_: httpx.Client, path: str, end: str, headers: dict[str, str]
) -> None:
    url = f"/v2/repository/{path}{end}"
    assert asking.post(url, headers=headers).status_code == 401
    assert asking.post(url, headers=headers | bearer("alpha")).status_code == 403
    assert open_.post(url, headers=headers | bearer("omega")).status_code == 404
    for client in (asking, open_):
        assert client.get("/v2/health/ready").status_code == 200


def test_grpc_asks_for_the_same(guarded: "Server") -> None:
    stub = GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{guarded.grpc_port}"))
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": {"fp64_contents": [0.5]}}
    request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor])
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    answer = stub.ModelInfer(request, metadata=(("authorization", "Bearer alpha"),))
    assert list(answer.outputs[0].contents.fp64_contents) == [621.125]


def test_the_audit_tells_who_was_refused_without_a_secret_or_a_value(
    guarded: "Server", asking: httpx.Client
) -> None:
    asking.post("/stream", json={"instance": 0.8125}, headers=bearer("a-secret-guess"))
    asking.get("/log", headers=bearer("omega"))
    lines = [json.loads(line) for line in guarded.log.read_text().splitlines() if "predictor.audit" in line]
    refused = [line for line in lines if line["message"] == "refused"]
    assert refused[-1] | {"client": "127.0.0.1", "endpoint": "stream", "status": 401} == refused[-1]
    assert any(line["message"] == "admitted" and line["who"] == "o" for line in lines)
    for secret in ("a-secret-guess", "omega", "0.8125"):
        assert secret not in guarded.log.read_text()


def test_optional_credentials_are_not_needed_but_must_be_right(
    start_server: "StartServer", keys: Path
) -> None:
    with start_server(auth="optional", api_keys=keys) as server, server.http as client:
        assert predict(client) == 200
        assert predict(client, bearer("alpha")) == 200
        assert predict(client, bearer("beta")) == 401
