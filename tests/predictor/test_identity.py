"""The names of a request: its id and its trace (https://www.w3.org/TR/trace-context/)."""

import pytest

from predictor.identity import Identity, combined, ratio_bound, take_ids

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
TRACEPARENT = b"00-%b-%b-01" % (TRACE, PARENT)
PLAIN = ("order-17", "a", "x" * 128, "A.b_c:d/e+f=g@h-9")
NOT_PLAIN = ("", "two words", "x" * 129, "ümlaut", "a\n", "\x00")


def of(**fields: bytes) -> Identity:
    return Identity.of_fields({name.replace("_", "-").encode(): value for name, value in fields.items()})


def test_new_names_are_hexadecimal_and_never_the_same() -> None:
    found = {take_ids() for _ in range(2000)}
    assert len(found) == 2000
    assert all(len(ids) == 48 and not ids.translate(None, b"0123456789abcdef") for ids in found)
    assert len({ids[:32] for ids in found} | {ids[32:] for ids in found}) == 4000


@pytest.mark.parametrize("given", PLAIN)
def test_keeps_a_plain_id(given: str) -> None:
    assert of(x_request_id=given.encode("latin-1")).request_id == given.encode()
    assert Identity.new().named(given).request_id == given.encode()


@pytest.mark.parametrize("given", NOT_PLAIN)
def test_replaces_another_id(given: str) -> None:
    identity = of(x_request_id=given.encode("latin-1"))
    assert identity.request_id == identity.trace_id
    assert identity.named(given) == identity


def test_a_request_is_part_of_its_clients_trace() -> None:
    identity = of(traceparent=TRACEPARENT, tracestate=b"a=1 , b@c=2,")
    assert (identity.trace_id, identity.parent_id, identity.sampled) == (TRACE, PARENT, True)
    assert identity.state == b"a=1,b@c=2"
    assert identity.span_id not in (PARENT, of(traceparent=TRACEPARENT).span_id)
    assert identity.request_id != TRACE, "several requests of one trace have ids of their own"
    assert identity.traceparent == b"00-%b-%b-01" % (TRACE, identity.span_id)
    assert dict(identity.fields) == {
        b"x-request-id": identity.request_id,
        b"traceparent": identity.traceparent,
        b"tracestate": b"a=1,b@c=2",
    }


@pytest.mark.parametrize(("flags", "sampled"), [(b"00", False), (b"01", True), (b"02", False), (b"ff", True)])
def test_the_first_bit_of_the_flags_says_whether_a_trace_is_sampled(flags: bytes, *, sampled: bool) -> None:
    identity = of(traceparent=TRACEPARENT[:-2] + flags)
    assert identity.sampled is sampled
    assert identity.traceparent.endswith(b"-01" if sampled else b"-00")


@pytest.mark.parametrize("more", [b"", b"-", b"-more", b"-01-02"])
def test_reads_later_versions_as_far_as_it_knows_them(more: bytes) -> None:
    assert of(traceparent=b"cc" + TRACEPARENT[2:] + more).parent_id == PARENT


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-",
        b"ff" + TRACEPARENT[2:],
        TRACEPARENT.upper(),
        TRACEPARENT + b"-more",
        TRACEPARENT + b"-",
        b"cc" + TRACEPARENT[2:] + b".more",
        b"cc" + TRACEPARENT[2:] + b"1",
        TRACEPARENT[:-1],
        TRACEPARENT[1:],
        b" " + TRACEPARENT,
        TRACEPARENT + b"," + TRACEPARENT,
        TRACEPARENT.replace(b"-", b"_"),
        b"0-" + TRACEPARENT[1:2] + TRACEPARENT[3:],
        TRACEPARENT.replace(TRACE, b"0" * 32),
        TRACEPARENT.replace(PARENT, b"0" * 16),
        TRACEPARENT.replace(b"4bf9", b"4bg9"),
        TRACEPARENT.replace(b"-01", b"-.1"),
        TRACEPARENT.replace(b"-01", b"-0\xe4"),
    ],
)
def test_begins_a_trace_where_traceparent_is_not_valid(value: bytes) -> None:
    identity = of(traceparent=value, tracestate=b"a=1")
    assert (identity.parent_id, identity.sampled, identity.state) == (b"", False, b"")
    assert identity.trace_id != TRACE


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"a=1", True),
        (b"a=" + b"x" * 256, True),
        (b"t61rcWkgMzE,a=1", False),
        (b"a", False),
        (b"A=1", False),
        (b"a=1=2", False),
        (b"a=\xe4", False),
        (b"a=" + b"x" * 257, False),
        (b",".join(b"k%d=1" % i for i in range(32)), True),
        (b",".join(b"k%d=1" % i for i in range(33)), False),
        (b"a=" + b"x" * 252 + b",b=" + b"x" * 255, True),
        (b"a=" + b"x" * 253 + b",b=" + b"x" * 255, False),
    ],
)
def test_keeps_a_valid_tracestate_of_512_characters_at_most(value: bytes, *, kept: bool) -> None:
    assert of(traceparent=TRACEPARENT, tracestate=value).state == (value if kept else b"")


def test_several_fields_of_a_trace_are_one_list_and_of_others_the_last_one_counts() -> None:
    pairs = [
        (b"traceparent", b"1"),
        (b"a", b"1"),
        (b"tracestate", b"a=1"),
        (b"a", b"2"),
        (b"tracestate", b"b=2"),
    ]
    assert combined(pairs) == {b"traceparent": b"1", b"a": b"2", b"tracestate": b"a=1,b=2"}


def test_a_ratio_chooses_the_same_traces_as_opentelemetry() -> None:
    sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling")
    for ratio in (0.0, 1e-9, 0.01, 0.5, 1 - 2**-53, 1.0):
        bound, sampler = ratio_bound(ratio), sampling.TraceIdRatioBased(ratio)
        edges = [b"%032x" % max(0, sampler.bound + step) for step in (-1, 0, 1)]
        for trace in (*edges, *(take_ids()[:32] for _ in range(100))):
            decided = sampler.should_sample(None, int(trace, 16), "name").decision.is_sampled()
            assert (trace[16:] < bound) is decided or sampler.bound >= 2**64
