"""Language of texts: whether they are plainly not English, by their letters and words.

A parser of English gives words of any other language relations, too, and they mean nothing. What is
plain is decided so that no English is taken for another language, however short, slangy or full of
names it is; a few words of another language may stay undecided.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

# Function words of languages in Latin letters, those left out that English or its slang has, too.
_FUNCTION_WORDS = {
    "Croatian": "je se na su nije za od ali kao bio bila bilo samo koji koja što ili jako vrlo smo "
    "po ne već ni zelo",
    "Czech": "je se na že jako ale byl byla bylo jsem jsou tak pro při jen velmi není za po "
    "od jeho který která aby nebo už som nie pre",
    "Danish": "og det er et en på med ikke jeg af av var til har om meget dette så men fra kan vi "
    "mig seg sig hadde blev ble denne",
    "Dutch": "de het een en van ik niet op te zijn met voor er maar om ook aan bij heel deze dit "
    "geen wij naar nog uit werd heb wel hij",
    "Finnish": "ja ei se oli että hän mutta myös ole tämä kun niin joka ovat kuin tai minä minun "
    "sen liian hyvin vain jos sitä",
    "French": "la les et est des du une un pas je ne que qui dans pour ce cette il elle nous vous "
    "avec sur plus très mais au aux sont était être ou par mes de le",
    "German": "der das und ist ich nicht ein eine einen einem einer mit für auf sich auch wir sie "
    "aber wie noch nur sehr zu von dem wurde habe wird sind bei oder nach wenn dass kein",
    "Hungarian": "az és nem hogy egy volt ez csak meg van mint már még nagyon kell vagy ezt azt "
    "nincs",
    "Indonesian": "yang dan di ini itu dengan untuk tidak dari pada ke dalam saya sangat adalah "
    "akan juga karena oleh bisa ada sudah terlalu lebih tak",
    "Italian": "il lo la gli le di che un una con non si del della dei delle nel nella sono "
    "più anche questo questa molto era al",
    "Polish": "nie się jest na że jak ale po za był była było tylko bardzo dla od czy przez są "
    "mnie tego jego przed już co",
    "Portuguese": "os de que um uma não com para por dos das em na se mais muito mas foi são está "
    "ao pelo este esta eu meu",
    "Romanian": "și şi nu este un cu pe care că din pentru mai la ce fost foarte sunt sau dar lui "
    "prin de în mi să",
    "Spanish": "el la los las de que es un una en por con para se lo del al muy pero más está fue "
    "este esta como mi su le son",
    "Swedish": "och det är att en ett som på för med inte jag av var till har om ej mycket detta "
    "så men från kan vi mig sig hade",
    "Turkish": "ve bir bu için çok ile ne gibi daha en ama olarak olan var değil kadar sonra "
    "ben",
    "Vietnamese": "và là của có không này rất cho được một các những với tôi trong đã người để thì "
    "cũng khi nhưng phim",
}  # fmt: skip
_ENGLISH = frozenset(
    "a about all also an and any are as at be been but by can could did do does for from had has "
    "have he her him his how i if in into is it its just may me might more most my no not of on or "
    "our out over she should so some such than that the their them then there these they this "
    "those to too up us very was we were what when where which who why will with would you your"
    .split()
)  # fmt: skip
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in _FUNCTION_WORDS.items():
    for _word in set(_words.split()):
        _LANGUAGES_OF.setdefault(_word, []).append(_language)
# No words of a language: addresses, names of people and topics, marks of a page. What stands before
# an @ is bounded, since text without blanks would be searched to its end from each of its letters.
_NO_WORDS = re.compile(r"[@#]\w+|https?://\S+|www\.\S+|[^\s@]{1,64}@\S+|<[^<>]*>|&\w+;")
_WORD = re.compile(r"[^\W\d_]+")
# A letter of any script but Latin (with its additions and phonetic signs).
_OTHER_SCRIPT = re.compile("(?![A-Za-z\u00aa-\u02ff\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f"
                           "\ua720-\ua7ff\ufb00-\ufb06])[^\\W\\d_]")  # fmt: skip
# Shorter words stand in a parser's vocabulary as endings of others.
_SHORTEST = 4
# Fewer letters, or words, show nothing.
_FEWEST_LETTERS, _FEWEST, _MANY = 3, 2, 8


@dataclass(frozen=True)
class Evidence:
    """What the letters and words of texts say of their language; that of several adds up.

    ``letters`` of which ``other_letters`` are of no Latin script; ``words`` of which ``english``
    are English function words; ``long`` words of four letters and more that are no names by their
    capital, of which ``unknown`` are not in the parser's vocabulary; ``others`` counts function
    words by other languages.
    """

    letters: int = 0
    other_letters: int = 0
    words: int = 0
    english: int = 0
    long: int = 0
    unknown: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            self.letters + other.letters,
            self.other_letters + other.other_letters,
            self.words + other.words,
            self.english + other.english,
            self.long + other.long,
            self.unknown + other.unknown,
            self.others + other.others,
        )

    @property
    def foreign(self) -> bool:
        """Whether the texts are plainly not English.

        That is so where most letters are of another script. In Latin letters, where a fifth of the
        words are function words of one other language, twice as many as English ones, and there are
        three of them or half of the longer words are unknown; and where of many longer words four
        in five are unknown and less than a fifth of the words are English function words.
        """
        if self.other_letters >= _FEWEST_LETTERS and 2 * self.other_letters > self.letters:
            return True
        most = max(self.others.values(), default=0)
        speaks = most >= _FEWEST and 5 * most >= self.words and 2 * self.english <= most
        half_unknown = self.unknown >= _FEWEST and 2 * self.unknown >= self.long
        all_unknown = self.unknown >= _MANY and 5 * self.unknown >= 4 * self.long
        return (speaks and (most > _FEWEST or half_unknown)) or (
            all_unknown and 5 * self.english < self.words
        )

    @property
    def plainly_english(self) -> bool:
        """Whether a third of the words are English function words, three of them or more where any
        longer word is unknown.
        """
        enough = self.english > _FEWEST or (self.english and not self.unknown)
        return bool(enough) and 3 * self.english >= self.words and not self.foreign


def foreign_among(
    texts: Sequence[str], others: Sequence[str], vocabulary: Collection[str]
) -> list[bool]:
    """Which texts are plainly not English.

    A text is that by itself, or because all of them, together with the ``others`` that they stand
    among, are; then only one that is plainly English is not.
    """
    found = [evidence_of(text, vocabulary) for text in texts]
    around = (evidence_of(text, vocabulary) for text in others)
    together = reduce(add, around, reduce(add, found, Evidence()))
    return [one.foreign or (together.foreign and not one.plainly_english) for one in found]


def evidence_of(text: str, vocabulary: Collection[str]) -> Evidence:
    """The evidence in one text; ``vocabulary`` are the parser's words in lower case.

    >>> one = evidence_of("Ich bin nicht zufrieden mit dem Gerät.", frozenset({"film"}))
    >>> one.others["German"], one.english, one.foreign
    (4, 0, True)
    """
    text = _NO_WORDS.sub(" ", unicodedata.normalize("NFKC", text))
    found, shouted = _WORD.findall(text), text.isupper()
    words = [word.lower() for word in found]
    long = [
        word
        for place, (word, written) in enumerate(zip(words, found, strict=True))
        if len(word) >= _SHORTEST and (shouted or not place or not written[0].isupper())
    ]
    return Evidence(
        letters=sum(map(len, found)),
        other_letters=len(_OTHER_SCRIPT.findall(text)),
        words=len(words),
        english=sum(word in _ENGLISH for word in words),
        long=len(long),
        unknown=sum(word not in vocabulary for word in long),
        others=Counter(one for word in words for one in _LANGUAGES_OF.get(word, ())),
    )
