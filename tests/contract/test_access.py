"""Authentication and scopes, over HTTP and gRPC."""

import functools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.contract.observations import observe
from tests.support.processes import wait_until
from tests.support.server import NAME, Server, api_key_line, start_predictor

ISSUER, AUDIENCE = "https://issuer.example", "predictor"
CLOUD_EVENT = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "x", "ce-id": "1"}


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """Return the key of ``"issuer"``, or of another one whose tokens are invalid."""
    return rsa.generate_private_key(65537, 2048)


def token(**changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "me",
        "scope": "predict explain",
        "exp": time.time() + 600,
    }
    key = changes.pop("key", private_key(changes.pop("signer", "issuer")))
    algorithm = changes.pop("algorithm", "RS256")
    return jwt.encode(claims | changes, key, algorithm=algorithm, headers={"kid": "1"})


@pytest.fixture(scope="module")
def guarded_server(api_keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires an API key or a token."""
    jwks = tmp_path_factory.mktemp("jwks") / "jwks.json"
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key("issuer").public_key()))
    jwks.write_text(json.dumps({"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]}))
    with start_predictor(
        auth="required",
        api_keys=api_keys,
        jwks=jwks,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        refresh_seconds=0.1,
    ) as running:
        yield running


@pytest.fixture
def guarded(guarded_server: Server) -> Iterator[httpx.Client]:
    with guarded_server.http as client:
        yield client


def status_of_predictions(client: httpx.Client, headers: dict[str, str] | None = None) -> int:
    """Return the status that every way to predict is answered with."""
    statuses = statuses_of_predictions(client, headers)
    assert len(statuses) == 1
    return statuses.pop()


def statuses_of_predictions(client: httpx.Client, headers: dict[str, str] | None) -> set[int]:
    """Predict on the fast path, by GET and by ASGI; statuses differ while a credential comes or goes."""
    return {
        client.post("/stream", json={"instance": 0.5}, headers=headers).status_code,
        client.post("/stream", json={"instance": 0.5}, headers=headers).status_code,
        client.get("/stream/0.5", headers=headers).status_code,
        client.post("/stream", content=iter([b'{"instance":0.5}']), headers=headers).status_code,
    }


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def test_public_paths_need_no_credential(guarded: httpx.Client) -> None:
    for path in ("/ping", "/", "/metrics", "/v2/health/ready", f"/v2/models/{NAME}", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_a_prediction_needs_a_valid_key_in_either_header(guarded: httpx.Client) -> None:
    assert status_of_predictions(guarded) == 401
    assert status_of_predictions(guarded, bearer("beta")) == 401
    assert status_of_predictions(guarded, bearer("alpha")) == 200
    assert status_of_predictions(guarded, {"X-API-Key": "alpha"}) == 200
    assert status_of_predictions(guarded, {"Authorization": "Basic alpha"}) == 401
    assert guarded.post("/stream", json={}).headers["www-authenticate"] == "Bearer"


def test_a_key_grants_only_its_scopes(guarded: httpx.Client) -> None:
    explain = f"/v1/models/{NAME}:explain"
    body = {"instances": [1]}
    assert guarded.post(explain, json=body, headers=bearer("alpha")).status_code == 403
    assert guarded.post(explain, json=body, headers=bearer("omega")).status_code == 200
    assert guarded.get("/log", headers=bearer("alpha")).status_code == 403
    assert guarded.get("/log", headers=bearer("omega")).status_code == 200


def test_rotates_keys_without_a_restart(guarded: httpx.Client, api_keys: Path) -> None:
    def wait_for(status: int) -> None:
        wait_until(lambda: statuses_of_predictions(guarded, bearer("gamma")) == {status}, what=f"{status}")

    before = api_keys.read_text()
    fresh = api_keys.with_suffix(".new")
    fresh.write_text(before + api_key_line("gamma", "g", "predict"))
    fresh.rename(api_keys)
    wait_for(200)
    fresh.write_text(before)
    fresh.rename(api_keys)
    wait_for(401)
    assert status_of_predictions(guarded, bearer("alpha")) == 200


def test_accepts_a_token_until_it_expires(guarded: httpx.Client) -> None:
    assert status_of_predictions(guarded, bearer(token())) == 200
    seconds = 1.0
    while 200 not in statuses_of_predictions(guarded, bearer(short := token(exp=time.time() + seconds))):
        seconds *= 2  # the machine stalled for longer than the token was valid
    wait_until(lambda: statuses_of_predictions(guarded, bearer(short)) == {401}, what="the token to expire")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"exp": 1},
        {"nbf": 4_102_444_800},
        {"signer": "other"},
        {"key": "a secret of at least thirty-two bytes", "algorithm": "HS256"},
        {"key": None, "algorithm": "none"},
    ],
)
def test_refuses_an_invalid_token(guarded: httpx.Client, changes: dict[str, Any]) -> None:
    assert status_of_predictions(guarded, bearer(token(**changes))) == 401


def test_refuses_a_token_without_the_scope(guarded: httpx.Client) -> None:
    assert status_of_predictions(guarded, bearer(token(scope="explain"))) == 403


@pytest.mark.parametrize(
    "path",
    [f"/v1/models/{NAME}:predict", f"/v1/models/{NAME}:explain", f"/v2/models/{NAME}/infer"],
)
def test_cloud_events_need_the_scope_of_their_endpoint(guarded: httpx.Client, path: str) -> None:
    assert guarded.post(path, json={"instances": [1]}, headers=CLOUD_EVENT).status_code == 401
    wrong = CLOUD_EVENT | bearer(token(scope=""))
    assert guarded.post(path, json={"instances": [1]}, headers=wrong).status_code == 403


@pytest.mark.parametrize("headers", [{}, CLOUD_EVENT, {"content-type": "application/cloudevents+json"}])
@pytest.mark.parametrize("path", ["index", f"models/{NAME}/load", f"models/{NAME}/unload"])
def test_only_an_administrator_may_use_the_repository(
    guarded: httpx.Client, wide_client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    url = f"/v2/repository/{path}"
    assert guarded.post(url, headers=headers).status_code == 401
    assert guarded.post(url, headers=headers | bearer("alpha")).status_code == 403
    assert wide_client.post(url, headers=headers | bearer("omega")).status_code == 404
    assert guarded.post(f"{url}%0A", headers=headers).status_code == 404
    for client in (guarded, wide_client):
        assert client.get("/v2/health/ready").status_code == 200


def test_grpc_needs_a_credential_too(guarded_server: Server) -> None:
    stub = GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{guarded_server.grpc_port}"))
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": {"fp64_contents": [0.5]}}
    request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor])
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    answer = stub.ModelInfer(request, metadata=(("authorization", "Bearer alpha"),))
    assert list(answer.outputs[0].contents.fp64_contents) == [621.125]


def test_audit_log_names_refused_clients_but_no_secrets_or_values(
    guarded_server: Server, guarded: httpx.Client
) -> None:
    guarded.post("/stream", json={"instance": 0.8125}, headers=bearer("a-secret-guess"))
    guarded.get("/log", headers=bearer("omega"))
    lines = [
        json.loads(line) for line in guarded_server.log.read_text().splitlines() if "predictor.audit" in line
    ]
    refused = [line for line in lines if line["message"] == "refused"]
    assert refused[-1] | {"client": "127.0.0.1", "endpoint": "stream", "status": 401} == refused[-1]
    assert any(line["message"] == "admitted" and line["principal"] == "o" for line in lines)
    for secret in ("a-secret-guess", "omega", "0.8125"):
        assert secret not in guarded_server.log.read_text()


def refused_addresses(server: Server, *values: str) -> list[str]:
    """Be refused on the fast path, by ASGI and by gRPC, and return the clients that the audit log names.

    ``values`` are those of X-Forwarded-For, each in a field of its own.
    """
    fields = [("X-Forwarded-For", value) for value in values]
    with observe(server) as observation, server.http as client:
        for body in (b'{"instance": 0.5}', b'{"instance": 0.5}', iter([b'{"instance": 0.5}'])):
            assert client.post("/stream", content=body, headers=fields).status_code == 401
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            metadata = [(name.lower(), value) for name, value in fields]
            with pytest.raises(grpc.RpcError, match="missing credential"):
                GRPCInferenceServiceStub(channel).ModelInfer(pb.ModelInferRequest(), metadata=metadata)
    return [str(line["client"]) for line in observation.audit]


def test_forwarded_addresses_count_only_from_named_proxies(guarded_server: Server, api_keys: Path) -> None:
    assert refused_addresses(guarded_server, "203.0.113.9") == ["127.0.0.1"] * 4
    proxies = '["127.0.0.0/8", "192.0.2.7"]'
    with start_predictor(auth="required", api_keys=api_keys, trusted_proxies=proxies) as server:
        assert refused_addresses(server, "198.51.100.1, 203.0.113.9, 192.0.2.7") == ["203.0.113.9"] * 4
        # The gRPC library hands on only the last of several fields.
        assert refused_addresses(server, "203.0.113.9", "192.0.2.7") == ["203.0.113.9"] * 3 + ["192.0.2.7"]
        assert refused_addresses(server, "a name") == ["127.0.0.1"] * 4


def test_optional_credentials_may_be_absent_but_not_wrong(limited_server: Server) -> None:
    with limited_server.http as client:
        assert status_of_predictions(client) == 200
        assert status_of_predictions(client, bearer("alpha")) == 200
        assert status_of_predictions(client, bearer("beta")) == 401
