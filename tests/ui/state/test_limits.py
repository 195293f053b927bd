"""What a server for strangers allows: by one setting, said before it is hit, one sentence a hit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import LimitError
from bhpvas.ui.state import limits
from bhpvas.ui.state.limits import Limits


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Limits:
    monkeypatch.setenv("BHPVAS_HOSTED", "1")
    monkeypatch.setenv("BHPVAS_MODELS", "owner/one, owner/two")
    monkeypatch.setenv("BHPVAS_DATA_SETS", "glue:sst2")
    return limits.current()


def sentences(count: int) -> Splits:
    data = Dataset("mine.csv", ("a",) * count, None, [0] * count, ("no", "yes"))
    return Splits(data.take(range(count // 2)), data.take(range(count // 2, count)), "by hand")


@pytest.mark.parametrize("value", ["", "0", "no", "false", "off"])
def test_a_persons_own_computer_has_no_limits(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOSTED", value)
    found = limits.current()
    assert found == Limits()
    assert not found.hosted
    assert found.sentence() == ""
    found.check_model("/any/folder")
    found.check_data_set("any/data")
    found.check_sentences(sentences(100_000))
    found.check_tokens("mine.csv", 10**9)
    found.check_finetuning()


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_one_setting_switches_them_on(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOSTED", value)
    found = limits.current()
    assert found.hosted
    assert (found.models, found.data_sets) == ((), ())


def test_what_is_offered_may_be_opened(hosted: Limits) -> None:
    for model in (None, "owner/one", "owner/two"):
        hosted.check_model(model)
    hosted.check_data_set("glue:sst2")


@pytest.mark.parametrize(
    "model", ["owner/three", "/etc", ".", "", "OWNER/ONE", "owner/one@main", "sample_data/model"]
)
def test_another_model_is_one_sentence(hosted: Limits, model: str) -> None:
    with pytest.raises(LimitError, match="the sample, owner/one, owner/two"):
        hosted.check_model(model)


@pytest.mark.parametrize("name", ["glue:cola", "/etc/passwd", "a.csv", ""])
def test_another_data_set_is_one_sentence(hosted: Limits, name: str) -> None:
    with pytest.raises(LimitError, match="glue:sst2"):
        hosted.check_data_set(name)


def test_bounds_hold_to_the_unit(hosted: Limits) -> None:
    small = replace(hosted, sentences=10, tokens=100)
    small.check_sentences(sentences(10))
    small.check_tokens("mine.csv", 100)
    with pytest.raises(LimitError, match="has 11 sentences, and this server takes up to"):
        small.check_sentences(sentences(11))
    with pytest.raises(LimitError, match="has at least 101 tokens, and this server takes up to"):
        small.check_tokens("mine.csv", 101)


def test_a_file_is_bounded_to_the_byte(hosted: Limits) -> None:
    hosted.check_upload("mine.csv", 5 * 2**20, hosted.megabytes)
    with pytest.raises(LimitError, match=r"mine\.csv is larger than the 5 MB that may be uploaded"):
        hosted.check_upload("mine.csv", 5 * 2**20 + 1, hosted.megabytes)


def test_text_is_bounded_as_an_upload_is(hosted: Limits) -> None:
    def long(characters: int, *, pair: bool = False) -> Splits:
        texts = ("x" * (characters - pair), "y")
        data = Dataset("mine.parquet", texts, ("z", "") if pair else None, [0, 1], ("a", "b"))
        return Splits(data, data, "by hand")

    small = replace(hosted, megabytes=1)
    for pair in (False, True):
        small.check_text(long(2**19 - 1, pair=pair))
        with pytest.raises(LimitError, match="parquet holds more than the 1 MB of text that this"):
            small.check_text(long(2**19, pair=pair))
    Limits(megabytes=1).check_text(long(2**20))


def test_every_limit_is_said_in_advance(hosted: Limits) -> None:
    said = hosted.sentence()
    for part in ("5 MB", "5,000 sentences", "200,000 tokens", "5 min", "does not fine-tune"):
        assert part in said
    with pytest.raises(LimitError):
        hosted.check_finetuning()
