"""Our DNS messages against a full implementation."""

import socket

import dns.flags
import dns.message
import dns.rcode
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stackr_engine.network import dns as ours

LABELS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=63)


def query(name: str, kind: str = "A", **options: object) -> ours.Query:
    return ours.Query(dns.message.make_query(name, kind, **options).to_wire())  # type: ignore[arg-type]


@given(st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["A", "AAAA", "PTR", "HTTPS"]))
def test_queries_are_read(labels: list[str], kind: str) -> None:
    message = dns.message.make_query(".".join(labels), kind)
    read = ours.Query(message.to_wire())
    assert read.name == ".".join(labels).lower()
    assert (read.id, read.kind) == (message.id, message.question[0].rdtype)
    assert read.question == ours.question_of(message.to_wire())


def test_answers_are_understood() -> None:
    asked = dns.message.make_query("web.front", "A")
    data = [socket.inet_aton(f"10.0.0.{last}") for last in (3, 2)]
    reply = dns.message.from_wire(ours.answer(ours.Query(asked.to_wire()), data))
    assert asked.is_response(reply)
    assert [str(item) for item in reply.answer[0]] == ["10.0.0.3", "10.0.0.2"]
    assert reply.flags & dns.flags.RA
    assert reply.flags & dns.flags.RD
    assert (reply.answer[0].ttl, reply.edns) == (5, -1)


def test_the_case_of_the_question_is_kept() -> None:
    asked = dns.message.make_query("WeB", "A")
    wire = ours.answer(ours.Query(asked.to_wire()), [bytes(4)])
    assert b"\x03WeB" in wire
    assert ours.Query(asked.to_wire()).name == "web"


def test_edns_is_answered_with_edns() -> None:
    read = query("web", use_edns=0, payload=4096)
    assert read.limit == 4096
    reply = dns.message.from_wire(ours.answer(read, [bytes(4)], read.limit))
    assert (reply.edns, reply.payload) == (0, 1232)


@pytest.mark.parametrize("count", [1, 28, 29, 100])
def test_answers_that_are_too_long_are_cut_and_marked(count: int) -> None:
    wire = ours.answer(query("web"), [bytes([10, 0, 0, n]) for n in range(count)], 512)
    reply = dns.message.from_wire(wire)
    assert len(wire) <= 512
    assert bool(reply.flags & dns.flags.TC) == (count > 30)
    assert len(reply.answer[0]) == min(count, 30)


@pytest.mark.parametrize(
    ("change", "rcode"),
    [
        (lambda wire: wire[:20], dns.rcode.FORMERR),
        (lambda wire: wire[:4] + b"\0\2" + wire[6:], dns.rcode.FORMERR),
        (lambda wire: wire[:2] + b"\x28\0" + wire[4:], dns.rcode.NOTIMP),
        (lambda wire: wire[:12] + b"\xc0\x0c" + wire[14:], dns.rcode.FORMERR),
    ],
)
def test_what_is_no_query_is_refused(change: object, rcode: int) -> None:
    wire = change(dns.message.make_query("web", "A").to_wire())  # type: ignore[operator]
    with pytest.raises(ours.Malformed) as caught:
        ours.Query(wire)
    assert caught.value.rcode == rcode
    reply = dns.message.from_wire(ours.malformed(wire, rcode))
    assert reply.rcode() == rcode


def test_an_answer_is_never_answered() -> None:
    reply = ours.answer(query("web"), [bytes(4)])
    with pytest.raises(ours.Malformed):
        ours.Query(reply)
    assert ours.malformed(reply, ours.FORMERR) == b""
    assert ours.malformed(b"short", ours.FORMERR) == b""


@given(st.binary(max_size=600))
def test_rubbish_is_refused_and_never_more(junk: bytes) -> None:
    try:
        ours.Query(junk)
    except ours.Malformed as error:
        ours.malformed(junk, error.rcode)


def test_reverse_names_are_addresses() -> None:
    for address in ("10.0.0.7", "255.1.2.3", "fd00::abcd:1"):
        name = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        assert ours.reverse_address(name) == socket.inet_pton(family, address)
    for other in ("x.in-addr.arpa", "300.0.0.10.in-addr.arpa", "in-addr.arpa", "web", ""):
        assert ours.reverse_address(other) is None
