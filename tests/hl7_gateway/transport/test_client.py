"""The MLLP client: files in every form, acknowledgments of every kind."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from hie.core.errors import MessageSyntaxError, RequiredFieldError, UnavailableError
from hl7_gateway.acknowledgment import acknowledge
from hl7_gateway.client import MLLPConnection, on_the_wire, outgoing_of, send_files
from hl7_gateway.conveyor import Received
from hl7_gateway.header import header_from
from tests.hl7_gateway.transport.listening import CLOCK, accept_all, listening, message

TWO = "MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.5\rPID|1||张\rMSH|^~\\&|A|B|C|D|1||ADT^A01|2|P|2.5\rPID|1\r"


def refuse_even(batch: Sequence[Received]) -> list[bytes]:
    answers = []
    for received in batch:
        header = header_from(received.raw)
        is_even = int(header.control_id) % 2 == 0
        error = RequiredFieldError("PID-3 has no value", location="PID-3") if is_even else None
        answers.append(acknowledge(header, "AE" if is_even else "AA", now=CLOCK.now(), error=error))
    return answers


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(("mark", "codec"), [("", "utf-8"), ("\ufeff", "utf-8"), ("", "gb18030")])
def test_file_of_any_line_ends_is_sent_with_cr_and_without_bom(
    tmp_path: Path, end: str, mark: str, codec: str
) -> None:
    file = tmp_path / "two.hl7"
    file.write_bytes((mark + TWO.replace("\r", end)).encode(codec))
    sent: list[bytes] = []

    def keep(batch: Sequence[Received]) -> list[bytes]:
        sent.extend(received.raw for received in batch)
        return accept_all(batch)

    with listening(keep) as running:
        answers = list(send_files([file], host="127.0.0.1", port=running.port))
    assert [(answer.source, answer.control_id, answer.code) for answer in answers] == [
        ("two.hl7:1", "1", "AA"),
        ("two.hl7:2", "2", "AA"),
    ]
    assert b"".join(sent) == TWO.encode(codec)


def test_refused_message_comes_with_its_place_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "two.hl7"
    file.write_text(TWO, encoding="utf-8")
    with listening(refuse_even) as running:
        first, second = send_files([file], host="127.0.0.1", port=running.port)
    assert first.is_accepted
    assert not second.is_accepted
    assert (second.code, second.text) == ("AE", "PID-3: PID-3 has no value")


@pytest.mark.parametrize(("connections", "window"), [(1, 1), (1, 16), (4, 1), (4, 16), (64, 4)])
def test_every_message_is_answered_once(tmp_path: Path, connections: int, window: int) -> None:
    file = tmp_path / "many.hl7"
    file.write_bytes(b"".join(message(number) for number in range(50)))
    with listening(refuse_even) as running:
        answers = list(
            send_files([file], host="127.0.0.1", port=running.port, connections=connections, window=window)
        )
    assert sorted(int(answer.control_id) for answer in answers) == list(range(50))
    assert all(answer.is_accepted == bool(int(answer.control_id) % 2) for answer in answers)
    if connections == 1:
        assert [answer.control_id for answer in answers] == [str(number) for number in range(50)]


def test_receiver_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "two.hl7"
    file.write_text(TWO, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    answers = list(send_files([file], host="127.0.0.1", port=port))
    assert [answer.code for answer in answers] == ["", ""]
    assert all(f"Nothing answers on 127.0.0.1:{port}" in answer.text for answer in answers)


def test_receiver_that_does_not_acknowledge_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "two.hl7"
    file.write_text(TWO, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        answers = list(send_files([file], host="127.0.0.1", port=deaf.getsockname()[1], timeout=0.2))
    assert [answer.text for answer in answers] == [
        "No acknowledgment within 0.2 s",
        "Not sent: No acknowledgment within 0.2 s",
    ]


def test_acknowledgment_of_another_message_is_not_taken_for_this_one(tmp_path: Path) -> None:
    file = tmp_path / "two.hl7"
    file.write_text(TWO, encoding="utf-8")

    def mix_up(batch: Sequence[Received]) -> list[bytes]:
        header = header_from(message("other"))
        return [acknowledge(header, "AA", now=CLOCK.now()) for _ in batch]

    with listening(mix_up) as running:
        first, second = send_files([file], host="127.0.0.1", port=running.port)
    assert not first.is_accepted
    assert first.text == "The acknowledgment is for other"
    assert not second.is_accepted


def test_what_is_no_acknowledgment_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "two.hl7"
    file.write_text(TWO, encoding="utf-8")
    replies = iter([b"hello", message(1)])
    with listening(lambda batch: [next(replies) for _ in batch], batch=1) as running:
        first, second = send_files([file], host="127.0.0.1", port=running.port)
    assert first.text.startswith("The acknowledgment cannot be read")
    assert second.text == "The acknowledgment has no MSA"


def test_file_without_a_message_has_none_to_send(tmp_path: Path) -> None:
    file = tmp_path / "empty.hl7"
    file.write_bytes(b"# nothing\n")
    assert outgoing_of(file) == []
    assert list(send_files([file], host="127.0.0.1", port=1)) == []


def test_wide_text_goes_out_as_it_is() -> None:
    raw = TWO.replace("\r", "\n").encode("utf-16")
    assert on_the_wire(raw) == raw


def test_connection_that_the_receiver_closed_is_unavailable() -> None:
    with listening() as running:
        connection = MLLPConnection("127.0.0.1", running.port)
        connection.send(message(1))
    with pytest.raises(UnavailableError, match="closed the connection"):
        connection.send(message(2))
    connection.close()


def test_error_of_an_older_version_is_read_from_msa_3(tmp_path: Path) -> None:
    file = tmp_path / "old.hl7"
    file.write_bytes(message(1).replace(b"|P|2.5", b"|P|2.3"))

    def refuse(batch: Sequence[Received]) -> list[bytes]:
        error = MessageSyntaxError("no such thing", location="PID-3")
        return [acknowledge(header_from(r.raw), "AR", now=CLOCK.now(), error=error) for r in batch]

    with listening(refuse) as running:
        (answer,) = send_files([file], host="127.0.0.1", port=running.port)
    assert (answer.code, answer.text) == ("AR", "PID-3: no such thing")
