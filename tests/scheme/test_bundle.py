"""A scheme as one file: what goes in comes out, and what no save wrote is one sentence."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bhpvas.errors import SchemeError
from bhpvas.heads import parse_heads
from bhpvas.scheme.bundle import SchemeFile, read_scheme_file, weights_of
from bhpvas.scheme.scheme import Scheme

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"
CONTENT = {ONE: bytes(range(256)) * 64, OTHER: b"\x00" * 50_000}


def plain() -> Scheme:
    model = {"id": "tiny", "revision": None, "fingerprint": "f"}
    return Scheme.started(model, 2, 4, name="mine").removing(parse_heads("L0H1"))


def recovered() -> Scheme:
    scheme = plain().recovered(ONE, "compensate").removing(parse_heads("L1H2"))
    return scheme.recovered(OTHER, "compensate").noted(1, "the first – ä")


def packed(*entries: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def text(scheme: Scheme) -> bytes:
    return scheme.to_json().encode()


def test_without_weights_it_is_the_json_of_the_scheme():
    file = SchemeFile(plain())
    assert file.name == "mine.json"
    assert file.to_bytes() == text(plain())
    assert read_scheme_file(file.to_bytes()) == file


def test_with_weights_it_is_a_zip_that_gives_everything_back():
    file = SchemeFile(recovered(), CONTENT)
    assert file.name == "mine.zip"
    found = read_scheme_file(file.to_bytes())
    assert found.scheme == recovered()
    assert dict(found.weights) == CONTENT
    assert file.to_bytes() == file.to_bytes()
    with zipfile.ZipFile(io.BytesIO(file.to_bytes())) as archive:
        names = {f"{one}.safetensors" for one in weights_of(recovered())}
        assert set(archive.namelist()) == {"scheme.json"} | names
        assert archive.testzip() is None


def test_weights_that_no_step_refers_to_any_more_are_left_out():
    scheme = recovered().without_step(3)
    found = read_scheme_file(SchemeFile(scheme, CONTENT).to_bytes())
    assert set(found.weights) == {ONE}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/x", "etc-x.zip"),
        ("", "scheme.zip"),
        ("a b/ü", "a-b-ü.zip"),
        ("...", "scheme.zip"),
    ],
)
def test_the_name_of_the_file_is_no_path(name, expected):
    assert SchemeFile(recovered().renamed(name), CONTENT).name == expected


def test_saving_without_its_weights_is_refused():
    with pytest.raises(SchemeError, match=OTHER):
        SchemeFile(recovered(), {ONE: b""}).to_bytes()


WEIGHTS = [(f"{one}.safetensors", content) for one, content in CONTENT.items()]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not JSON"),
        (b"PK\x03\x04 and then nothing", "damaged"),
        (text(recovered()), "refers to weights that are not in it"),
        (packed(*WEIGHTS), "without scheme.json"),
        (packed(("scheme.json", b"{}")), "'format'"),
        (packed(("scheme.json", text(recovered())), WEIGHTS[0]), OTHER),
        (packed(("scheme.json", text(plain())), ("../evil.safetensors", b"")), "../evil"),
        (packed(("scheme.json", text(plain())), ("/etc/passwd", b"")), "/etc/passwd"),
        (packed(("a/scheme.json", text(plain()))), "a/scheme.json"),
        (packed(("scheme.json", text(plain())), ("notes.txt", b"")), "notes.txt"),
        (packed(("scheme.json", text(plain())), ("ABCDEFABCDEFABCD.safetensors", b"")), "ABCDEF"),
        (SchemeFile(recovered(), CONTENT).to_bytes()[:-40], "damaged"),
    ],
)
def test_what_no_save_wrote_is_one_sentence(content, part):
    with pytest.raises(SchemeError) as caught:
        read_scheme_file(content, "mine.zip")
    said = str(caught.value)
    assert said.startswith("mine.zip") and said.endswith(".")
    assert part in said
    assert "\n" not in said


def test_a_name_that_stands_there_twice_is_refused():
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed(("scheme.json", text(plain())), ("scheme.json", text(recovered())))
    with pytest.raises(SchemeError, match="which no saved scheme does"):
        read_scheme_file(twice)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    bomb = packed(("scheme.json", text(plain())), (f"{ONE}.safetensors", b"\x00" * 3_000_000))
    assert len(bomb) < 10_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(SchemeError, match=r"unpacks to 3 MB, and at most 1 MB"):
        read_scheme_file(bomb, most_bytes=2**20)


def test_a_bomb_that_lies_about_its_size_is_damaged():
    content = b"\x00" * 3_000_000
    scheme = plain().recovered(ONE, "compensate")
    bomb = packed(("scheme.json", text(scheme)), (f"{ONE}.safetensors", content))
    true = struct.pack("<L", len(content))
    assert bomb.count(true) == 2
    with pytest.raises(SchemeError, match="damaged"):
        read_scheme_file(bomb.replace(true, struct.pack("<L", 1000)), most_bytes=2**20)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_no_save_packed_is_refused(way):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", way) as archive:
        archive.writestr("scheme.json", text(plain()))
    with pytest.raises(SchemeError, match="no saved scheme does in this way"):
        read_scheme_file(content.getvalue())


def test_a_zip_with_a_password_is_refused():
    content = bytearray(packed(("scheme.json", text(plain()))))
    content[6] |= 1
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SchemeError, match="no saved scheme does in this way"):
        read_scheme_file(bytes(content))


GOOD = SchemeFile(recovered(), CONTENT).to_bytes()
HEADERS = GOOD.find(b"PK\x01\x02")  # of the directory at the end, which says where all else is


@given(
    st.lists(
        st.tuples(st.integers(HEADERS, len(GOOD) - 1) | st.integers(0, 80), st.integers(0, 255)),
        min_size=1,
        max_size=4,
    )
)
@example([(GOOD.rfind(b"PK\x05\x06") + 17, 200)])  # entries begin before the file does
def test_whatever_is_damaged_is_one_sentence(changes):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    try:
        read_scheme_file(bytes(content), "mine.zip")
    except SchemeError as error:
        assert str(error).startswith("mine.zip") and str(error).endswith(".")


def test_a_mistake_of_ours_is_not_called_damage(monkeypatch):
    def mistaken(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Scheme, "from_json", mistaken)
    with pytest.raises(RuntimeError, match="ours"):
        read_scheme_file(GOOD)
