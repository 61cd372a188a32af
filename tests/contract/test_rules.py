"""Every rule of the inference service, over every transport, on real servers.

A rule is a function of a server and a transport. The table of rules names the server that it needs; the table
of transports says which rules can't apply to a transport, and why.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from predictor import errors
from predictor.errors import PredictorError
from predictor.identity import take_ids
from tests.contract.bodies import Wanted
from tests.contract.observations import observe, recorded_rows, wait_for_memory
from tests.contract.operations import LIVENESS, OPERATIONS, READINESS, Operation, is_ready
from tests.contract.rule_servers import (
    ADMIN,
    KEYS,
    MAX_BYTES,
    MAX_ROWS,
    MEMORY,
    STARTERS,
    full_queue,
    waiting,
)
from tests.contract.streams import RecordStream
from tests.contract.transports import LARGE, ONE_ROW, TRANSPORTS, Http, Reply, Transport
from tests.support.http import chunked, head
from tests.support.server import NAME, VERSION, Server

ROWS = ((0.1,), (-0.0025,), (1e-300,), (123456.789,), (0.0,))


Start = Callable[[str], Server]
"""Returns the server of a name; starts it when it is first asked for."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(STARTERS[name](tmp_path_factory.mktemp(name))))


def predicted(server: Server, transport: Transport, wanted: Wanted) -> Reply:
    """Check a successful prediction, and that it is counted with its rows."""
    with observe(server) as observed:
        reply = transport.send(server, wanted)
    assert reply.outcome == transport.outcome(None), reply
    assert reply.predictions == [938.25 * value + 152.0 for (value,) in wanted.rows]
    assert observed.requests == {(transport.endpoint, "200"): 1}
    assert observed.transports == {transport.transport: 1}
    assert observed.rows == {transport.endpoint: len(wanted.rows)}
    assert (observed.rejected, observed.audit, observed.errors) == ({}, [], [])
    return reply


def refused(server: Server, transport: Transport, wanted: Wanted, error: type[PredictorError]) -> Reply:
    """Check a refusal: that it is counted, with its reason, and audited if a right is missing."""
    with observe(server) as observed:
        reply = transport.send(server, wanted)
    assert reply.outcome == transport.outcome(error), reply
    assert observed.requests == {(transport.endpoint, str(error.status)): 1}
    assert observed.transports == {transport.transport: 1}
    assert (observed.rows, observed.errors) == ({}, [])
    assert observed.rejected == ({error.reason: 1} if error.reason else {})
    assert observed.audit == audited(transport.endpoint, error)
    return reply


def audited(endpoint: str, error: type[PredictorError]) -> list[dict[str, object]]:
    """Return the audit lines for a refusal."""
    if error not in (errors.Unauthorized, errors.Forbidden):
        return []
    return [{"message": "refused", "client": "127.0.0.1", "endpoint": endpoint, "status": error.status}]


def check_predictions_are_equal(server: Server, transport: Transport) -> None:
    rows = ROWS[:1] if ONE_ROW.items() <= transport.exempt.items() else ROWS
    sizes = (0, 0, LARGE) if "queue" not in transport.exempt else (0, 0)
    for size in sizes:
        predicted(server, transport, Wanted(rows, size=size))


def check_bad_input(server: Server, transport: Transport) -> None:
    refused(server, transport, Wanted(((1.0, 2.0),)), errors.InvalidInput)


def check_rows(server: Server, transport: Transport) -> None:
    limit = MAX_ROWS // 10 if transport.scope == "explain" else MAX_ROWS
    predicted(server, transport, Wanted(((0.5,),) * limit))
    reply = refused(server, transport, Wanted(((0.5,),) * (limit + 1)), errors.TooLarge)
    assert reply.message == f"more than {limit} rows"


def check_length(server: Server, transport: Transport) -> None:
    refused(server, transport, Wanted(size=MAX_BYTES + 1), errors.TooLarge)


@contextmanager
def full_memory(server: Server) -> Iterator[None]:
    """Have unfinished bodies take all of the memory budget but a few bytes."""
    size = MAX_BYTES - 2
    body = chunked(b" " * size, size).removesuffix(b"0\r\n\r\n")
    with ExitStack() as stack:
        for count in range(1, MEMORY // MAX_BYTES + 1):
            connection = stack.enter_context(server.connect())
            connection.send(head("/batch", {"transfer-encoding": "chunked"}) + body)
            wait_for_memory(server, count * size)
        yield
    wait_for_memory(server, 0)


def check_memory(server: Server, transport: Transport) -> None:
    with full_memory(server):
        reply = refused(server, transport, Wanted(), errors.OutOfMemory)
    assert reply.message == "the requests in progress use the whole memory budget"
    assert reply.headers["retry-after"] == "1"
    predicted(server, transport, Wanted())


def check_queue(server: Server, transport: Transport) -> None:
    with full_queue(server):
        reply = refused(server, transport, Wanted(size=LARGE), errors.Overloaded)
    assert reply.message == "too many large requests are waiting"
    assert reply.headers["retry-after"] == "1"


def check_deadline(server: Server, transport: Transport) -> None:
    with waiting(server):
        reply = refused(server, transport, Wanted(size=LARGE), errors.DeadlineExceeded)
    assert reply.message == "the response took longer than 0.1 s"


def check_scope(server: Server, transport: Transport) -> None:
    refused(server, transport, Wanted(), errors.Unauthorized)
    refused(server, transport, Wanted(key="wrong"), errors.Unauthorized)
    refused(server, transport, Wanted(model="other", version="8"), errors.Unauthorized)
    for scope in KEYS:
        if scope == transport.scope:
            predicted(server, transport, Wanted(key=scope))
        else:
            reply = refused(server, transport, Wanted(key=scope), errors.Forbidden)
            assert reply.message == f'this credential lacks the scope "{transport.scope}"'


def check_unknown_model(server: Server, transport: Transport) -> None:
    reply = refused(server, transport, Wanted(model="other"), errors.NotFound)
    assert reply.message == f"model other does not exist; this server has {NAME}"


def check_unknown_version(server: Server, transport: Transport) -> None:
    predicted(server, transport, Wanted(version=VERSION))
    reply = refused(server, transport, Wanted(version="8"), errors.NotFound)
    assert reply.message == f"model {NAME} has no version 8; this server has {VERSION}"


def check_unknown_output(server: Server, transport: Transport) -> None:
    for name in ("predictions", "output-0"):  # a sole output may have any name
        predicted(server, transport, Wanted(outputs=[name]))
    refused(server, transport, Wanted(outputs=["predictions", "other"]), errors.InvalidInput)


def check_no_model(server: Server, transport: Transport) -> None:
    reply = refused(server, transport, Wanted(), errors.Unavailable)
    assert reply.message.startswith(f"model {NAME} is not ready: ")
    assert reply.headers["retry-after"] == "5"


@contextmanager
def unloaded(server: Server) -> Iterator[None]:
    """Have no model for a while."""
    assert OPERATIONS["unload"].call(server, ADMIN)[0] == 200
    try:
        yield
    finally:
        assert OPERATIONS["load"].call(server, ADMIN)[0] == 200


def check_unloaded(server: Server, transport: Transport) -> None:
    predicted(server, transport, Wanted())
    with unloaded(server):
        reply = refused(server, transport, Wanted(), errors.Unavailable)
    assert reply.message == f"model {NAME} is not ready: it was unloaded"
    predicted(server, transport, Wanted())


def check_draining(server: Server, transport: Transport) -> None:
    reply = predicted(server, transport, Wanted())
    if isinstance(transport, Http):
        assert reply.headers["connection"] == "close"


def check_request_id(server: Server, transport: Transport) -> None:
    name = f"order-{transport.name.replace(' ', '-')}"
    rows = ROWS[:1] if ONE_ROW.items() <= transport.exempt.items() else ROWS
    assert predicted(server, transport, Wanted(rows, key=transport.scope, id=name)).id == name
    assert recorded_rows(server, name, len(rows)) == {i: value for i, (value,) in enumerate(rows)}


def check_header_id(server: Server, transport: Transport) -> None:
    name = f"header-{transport.name.replace(' ', '-')}"
    assert predicted(server, transport, Wanted(key=transport.scope, header_id=name)).id == name
    assert recorded_rows(server, name, 1) == {0: 0.5}


def check_trace(server: Server, transport: Transport) -> None:
    trace = take_ids()[:32].decode()
    reply = predicted(
        server, transport, Wanted(key=transport.scope, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    )
    version, returned, span, flags = reply.headers["traceparent"].split("-")
    assert (version, returned, flags) == ("00", trace, "01")
    assert span != "00f067aa0ba902b7"
    assert recorded_rows(server, trace, 1, by="_trace") == {0: 0.5}


def check_invalid_trace(server: Server, transport: Transport) -> None:
    invalid = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"
    reply = predicted(server, transport, Wanted(key=transport.scope, traceparent=invalid))
    trace, flags = (reply.headers["traceparent"].split("-")[part] for part in (1, 3))
    assert trace not in invalid
    assert flags == "00"
    assert recorded_rows(server, trace, 1, by="_trace") == {0: 0.5}


def check_generated_id(server: Server, transport: Transport) -> None:
    reply = predicted(server, transport, Wanted(key=transport.scope))
    assert recorded_rows(server, reply.id, 1) == {0: 0.5}


def check_log(server: Server, transport: Transport) -> None:
    OPERATIONS["empty log"].call(server, ADMIN)
    predicted(server, transport, Wanted())
    entries = OPERATIONS["log"].call(server, ADMIN)[1]["requests"]
    found = [entry["status"] for entry in entries if entry["path"] != "/metrics"]
    assert found == [200]


class Rule(NamedTuple):
    """A rule: its name, the server that it needs, and a function that checks it."""

    name: str
    server: str
    check: Callable[[Server, Transport], None]


RULES = (
    Rule("predictions", "open", check_predictions_are_equal),
    Rule("bad input", "open", check_bad_input),
    Rule("rows", "open", check_rows),
    Rule("length", "open", check_length),
    Rule("memory", "open", check_memory),
    Rule("queue", "slow", check_queue),
    Rule("deadline", "slow", check_deadline),
    Rule("scope", "guarded", check_scope),
    Rule("unknown model", "open", check_unknown_model),
    Rule("unknown version", "open", check_unknown_version),
    Rule("unknown output", "open", check_unknown_output),
    Rule("no model", "empty", check_no_model),
    Rule("unloaded", "open", check_unloaded),
    Rule("draining", "draining", check_draining),
    Rule("request id", "guarded", check_request_id),
    Rule("log", "open", check_log),
    Rule("X-Request-Id", "guarded", check_header_id),
    Rule("generated id", "guarded", check_generated_id),
    Rule("trace", "guarded", check_trace),
    Rule("invalid trace", "guarded", check_invalid_trace),
)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_holds_on_transport(start: Start, rule: Rule, transport: Transport) -> None:
    if reason := transport.exempt.get(rule.name):
        pytest.skip(reason)
    rule.check(start(rule.server), transport)


def test_stream_of_records_ends_with_a_line_about_full_memory(start: Start) -> None:
    server = start("open")
    with full_memory(server), observe(server) as observed, RecordStream(server.port) as stream:
        stream.send(b'{"instance":')
        assert stream.receive() == [{"error": "the requests in progress use the whole memory budget"}]
        stream.finish_sending()
        assert stream.receive() == []
    assert observed.rejected == {"memory": 1}


def test_unfinished_records_take_memory(start: Start) -> None:
    server = start("open")
    with RecordStream(server.port) as stream:
        for sent, unfinished in ((b'{"instance":', 12), (b"0}\n", 0), (b" " * 1000, 1000)):
            stream.send(sent)
            wait_for_memory(server, unfinished)
    wait_for_memory(server, 0)


def test_transports_name_existing_rules() -> None:
    assert {name for transport in TRANSPORTS for name in transport.exempt} <= {rule.name for rule in RULES}


def expected(operation: Operation, key: str) -> type[PredictorError] | None:
    if operation.scope in ("public", key):
        return None
    return errors.Forbidden if key in KEYS else errors.Unauthorized


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_needs_its_scope(start: Start, name: str) -> None:
    server, operation = start("guarded"), OPERATIONS[name]
    for key in ("", "wrong", *KEYS):
        with observe(server) as observed:
            outcome, _ = operation.call(server, key)
        error = expected(operation, key)
        assert outcome == operation.outcome(error)
        lines = audited(operation.endpoint, error) if error else []
        if operation.scope == "admin" and error is None:
            who = {"client": "127.0.0.1", "endpoint": operation.endpoint, "principal": "admin-client"}
            admitted: dict[str, object] = {"message": "admitted", **who}
            lines = [admitted, *operation.audit]
        assert observed.audit == lines
        assert operation.endpoint == "metrics" or observed.requests == count(operation, error)
        assert observed.rejected == ({error.reason: 1} if error else {})
        if "unload" in name and error is None:
            OPERATIONS["load"].call(server, key)


def count(operation: Operation, error: type[PredictorError] | None) -> dict[tuple[str, str], float]:
    return {(operation.endpoint, str(error.status if error else 200)): 1}


@pytest.mark.parametrize("name", [name for name, found in OPERATIONS.items() if found.scope == "admin"])
def test_administration_is_unknown_where_nobody_can_be_administrator(start: Start, name: str) -> None:
    server, operation = start("slow"), OPERATIONS[name]
    with observe(server) as observed:
        outcome, _ = operation.call(server, ADMIN)
    assert outcome == operation.outcome(errors.NotFound)
    assert observed.requests == count(operation, errors.NotFound)
    assert [(line["message"], line["status"]) for line in observed.audit] == [("refused", 404)]


def check_readiness(server: Server, name: str, *, ready: bool) -> None:
    outcome, answer = READINESS[name].call(server, "")
    assert is_ready(outcome, answer) == ready
    if isinstance(outcome, int):
        assert outcome == (200 if ready else 503)
    for operation in LIVENESS.values():
        assert operation.call(server, "")[0] == operation.outcome(None)


@pytest.mark.parametrize("name", READINESS)
def test_readiness_depends_on_the_model_and_the_end_of_the_server(start: Start, name: str) -> None:
    server = start("open")
    check_readiness(server, name, ready=True)
    with unloaded(server):
        check_readiness(server, name, ready=False)
    check_readiness(server, name, ready=True)
    for other in ("empty", "draining"):
        check_readiness(start(other), name, ready=False)
