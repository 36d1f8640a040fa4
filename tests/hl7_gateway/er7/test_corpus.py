"""Every sample message of other people is read without loss."""

import re
from pathlib import Path

from hl7_gateway.er7.batch import read_batch
from hl7_gateway.er7.grouping import group
from hl7_gateway.er7.reader import read, read_text


def test_every_sample_message_is_read_and_written_back_byte_for_byte(conformance_data: Path) -> None:
    files = sorted(conformance_data.glob("hl7v2/**/*.hl7"))
    assert len(files) >= 210
    for path in files:
        batch = read_batch(path.read_bytes())
        assert batch.messages, path
        assert not batch.strays, path
        for raw in batch.messages:
            message = read(raw)
            normalised = _normalised(raw, message.charset)
            assert message.text == normalised, path
            assert len(message.segments) == normalised.count("\r"), path
            assert "".join(segment.text + "\r" for segment in message.segments) == normalised, path
            assert read_text(message.text).text == message.text, path
            assert message.notes == [], path


def test_every_segment_of_every_sample_message_is_in_exactly_one_group(conformance_data: Path) -> None:
    for path in sorted(conformance_data.glob("hl7v2/**/*.hl7")):
        for raw in read_batch(path.read_bytes()).messages:
            message = read(raw)
            leaves = [segment.index for segment in group(message).leaves()]
            assert sorted(leaves) == list(range(len(message.segments))), path


def test_every_leaf_is_part_of_the_raw_text_of_its_field(conformance_data: Path) -> None:
    for path in sorted(conformance_data.glob("hl7v2/**/*.hl7")):
        for raw in read_batch(path.read_bytes()).messages:
            for segment in read(raw).segments:
                for field in segment.filled():
                    joined = segment.raw(field)
                    if segment.delimiters.escape in joined:
                        continue
                    for repetition in segment.repetitions(field):
                        assert all(text in joined for component in repetition for text in component), path


def _normalised(raw: bytes, charset: str) -> str:
    text = raw.decode("utf-8-sig" if charset == "utf-8" else charset)
    return "".join(line + "\r" for line in re.split("\r\n|\r|\n", text) if line.strip())
