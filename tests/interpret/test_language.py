"""Language of texts: English in all its forms is never taken for another, and others are seen."""

from __future__ import annotations

from importlib import import_module

import pytest
from spacy.lang.en.stop_words import STOP_WORDS

from bhpvas.interpret.language import _ENGLISH, _LANGUAGES_OF, Evidence, evidence_of, foreign_among
from bhpvas.interpret.parser import pipeline_named

ENGLISH = """
The plot is thin, but the two leads carry it with charm.
Not worth the money.
Great.
stunning
omg dat wuz sooo kewl lol gonna luv dis foreverrr xoxo
ppl b actin brand new rn smh tho
Yaaaas kweeen werk it hunty
shoulda woulda coulda innit bruv
THIS IS THE WORST PHONE I EVER BOUGHT
haha noooo waaaay thats hilariousss
@maria_lopez ¡ola! u coming 2 the fiesta 2nite? https://example.org/la-casa-de-papel #vivalavida
Who wrote the opera about Przemyslaw Wojciechowski of Szczecin ?
Zuzanna Szczepkowska, Miroslav Klose and Giannis Antetokounmpo met Nguyen Thi Minh in Reykjavik
excruciatingly unfunny, pitifully unromantic
Spaghetti carbonara, tiramisu, gnocchi, prosciutto
methylprednisolone and azathioprine for refractory sarcoidosis
La La Land and Les Misérables are the films de la crème
the 电影 was fine
He said "das ist nicht gut" and left the room without another word to anyone.
\U0001d4fd\U0001d4f1\U0001d4f2\U0001d4fc is so \U0001d4f0\U0001d4f8\U0001d4f8\U0001d4ed
😀😀😀 !!! 10/10
""".strip().splitlines()
OTHERS = """
Das Essen war kalt und der Kellner ist nicht freundlich gewesen.
DIE BATTERIE HÄLT NICHT EINMAL EINEN HALBEN TAG UND DAS IST ZU WENIG
Je ne recommande pas cette tablette, elle est trop lente.
La comida estaba fría y el camarero no era muy amable con los clientes.
Ruoka oli kylmää, mutta palvelu oli ystävällistä ja nopeaa.
Il telefono non è arrivato e la batteria della scatola era rotta.
A bateria não dura e o carregador também é muito lento para uma marca destas.
De bediening was traag en het eten is niet warm op tafel gekomen.
Batteriet är dåligt och jag kan inte ladda det på en hel dag.
Jedzenie było zimne, ale kelner się nie przejął i był bardzo miły.
Yemekler soğuktu ve garson bir saat sonra geldi, çok kötü.
电池连半天都用不了。
料理は冷たくて、店員も親切ではなかった。
Еда была холодной, а официант грубым.
الطعام كان باردا
Η μπαταρία δεν κρατάει
""".strip().splitlines()  # noqa: RUF001


@pytest.fixture(scope="module")
def vocabulary():
    return pipeline_named(None).vocabulary


@pytest.mark.parametrize("text", ENGLISH)
def test_no_english_is_foreign(vocabulary, text):
    assert not evidence_of(text, vocabulary).foreign


@pytest.mark.parametrize("text", OTHERS)
def test_other_languages_are(vocabulary, text):
    assert evidence_of(text, vocabulary).foreign


def test_english_together_is_not_foreign_and_others_are(vocabulary):
    assert foreign_among(ENGLISH, (), vocabulary) == [False] * len(ENGLISH)
    assert foreign_among(["Schrecklich."], (), vocabulary) == [False]
    assert foreign_among(["Schrecklich."], OTHERS[:2], vocabulary) == [True]
    english = ["This is what I have been looking for.", "The cat sleeps."]
    found = foreign_among([*english, "So schön.", *OTHERS[:2] * 2], (), vocabulary)
    assert found == [False, False, True, *[True] * 4]


# Some with a list of function words, some in another script, and some that are neither.
@pytest.mark.parametrize("code", "de es he lt pl ru tr uk yo el ko zh ca it la".split())
def test_spacys_own_examples_are_foreign_together(vocabulary, code):
    texts = import_module(f"spacy.lang.{code}.examples").sentences
    assert all(foreign_among(texts, (), vocabulary))


def test_spacys_own_english_examples_are_not(vocabulary):
    texts = import_module("spacy.lang.en.examples").sentences
    assert not any(foreign_among(texts, (), vocabulary))


def test_evidence_by_hand():
    found = evidence_of("Der Film war nicht schlecht, @otto: the end", {"film", "war"})
    # "Film" stands in capitals after the first word, so it may be a name.
    assert (found.words, found.english, found.long, found.unknown) == (7, 1, 2, 2)
    assert (found.letters, found.other_letters) == (29, 0)
    assert found.others["German"] == 2
    both = found + found
    assert (both.words, both.others["German"]) == (14, 4)
    assert evidence_of("", set()) == Evidence()
    assert not Evidence().foreign
    script = evidence_of("это кино", set())
    assert script.letters == script.other_letters == 7


def test_a_long_text_without_blanks_is_read_once(vocabulary):
    found = evidence_of("电池" * 50_000, vocabulary)
    assert found.foreign and found.other_letters == 100_000
    assert not evidence_of("x" * 100_000, vocabulary).foreign


def test_no_function_word_of_another_language_is_an_english_one():
    assert not _LANGUAGES_OF.keys() & (_ENGLISH | STOP_WORDS)
