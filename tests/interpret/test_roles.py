"""Roles: exact answers on maps made by hand, and a slow recomputation on a real pass."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.align import Sentence, sentences_of
from bhpvas.interpret.parse import Parse, parse_dataset
from bhpvas.interpret.roles import (
    DIRECTIONS,
    NO_ROLE,
    NOT_JUDGED,
    ROLES,
    RoleSettings,
    count_roles,
    examples,
    find_roles,
    followed,
    role_changes,
    roles_of_maps,
)
from bhpvas.model.classifier import load_classifier
from bhpvas.stats import holm, sign_test
from bhpvas.ui.pages.roles.views import follows
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import save_tiny

FEW = RoleSettings(min_count=1)


def sentence_with(
    heads: list[int], relations: list[str], pieces: list[int], ids: list[int]
) -> Sentence:
    """A sentence whose words have the given numbers of pieces, between [CLS] and [SEP]."""
    words = [f"word{number}" for number in range(len(heads))]
    owners = [word for word, count in enumerate(pieces) for _ in range(count)]
    return Sentence(
        parse=Parse.of_words(words, heads, relations),
        tokens=("[CLS]", *(f"piece{owner}" for owner in owners), "[SEP]"),
        token_ids=np.array([0, *ids[: len(owners)], 1]),
        word_of=np.array([-1, *owners, -1], dtype=np.int16),
        parts=np.array([1, *[0] * len(owners), 2], dtype=np.int8),
    )


def grown_sentences(count: int = 60, most_pieces: int = 3) -> list[Sentence]:
    """Sentences of nine words: "far" has its head anywhere, "det" one word to the right."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(count):
        size = 9
        heads = [int(rng.choice([at for at in range(size) if at != word])) for word in range(size)]
        relations = ["far"] * size
        for word in (1, 4):
            heads[word], relations[word] = word + 1, "det"
        root = 7
        heads[root], relations[root] = root, "ROOT"
        pieces = rng.integers(1, most_pieces + 1, size).tolist()
        ids = (2 + rng.permutation(40)).tolist()
        found.append(sentence_with(heads, relations, pieces, ids))
    return found


def one_hot_rows(sentence: Sentence, targets: list[list[int]]) -> np.ndarray:
    """A map in which each token looks equally at its own targets: ``[T, T]``."""
    found = np.zeros((len(sentence), len(sentence)))
    for token, chosen in enumerate(targets):
        found[token, chosen] = 1 / len(chosen)
    return found


def to_word(sentence: Sentence, target_of_word) -> np.ndarray:
    """Every piece looks at all pieces of a word; all other tokens at [SEP]."""
    last = len(sentence) - 1
    targets = []
    for word in sentence.word_of:
        target = target_of_word(int(word)) if word >= 0 else None
        chosen = [at for at, owner in enumerate(sentence.word_of) if owner == target]
        targets.append(chosen or [last])
    return one_hot_rows(sentence, targets)


def follows_head(sentence: Sentence) -> np.ndarray:
    heads = sentence.parse.heads
    return to_word(sentence, lambda word: heads[word] if heads[word] != word else None)


def looks_at_dependents(sentence: Sentence) -> np.ndarray:
    """Each head word looks at its dependents; all others at [SEP]."""
    found = np.zeros((len(sentence), len(sentence)))
    heads = np.array(sentence.parse.heads)
    for token, word in enumerate(sentence.word_of):
        dependents = np.flatnonzero(heads == word) if word >= 0 else np.array([])
        chosen = np.isin(sentence.word_of, dependents[dependents != word])
        chosen[-1] |= not chosen.any()
        found[token] = chosen / chosen.sum()
    return found


def uniform(sentence: Sentence) -> np.ndarray:
    return np.full((len(sentence), len(sentence)), 1 / len(sentence))


def shifted(sentence: Sentence, step: int) -> np.ndarray:
    last = len(sentence) - 1
    return one_hot_rows(sentence, [[min(max(at + step, 0), last)] for at in range(last + 1)])


def to_token(sentence: Sentence, token: int) -> np.ndarray:
    return one_hot_rows(sentence, [[token]] * len(sentence))


HAND_MADE = {
    "head": follows_head,
    "dependents": looks_at_dependents,
    "previous word": lambda sentence: to_word(sentence, lambda word: word - 1),
    "next word": lambda sentence: to_word(sentence, lambda word: word + 1),
    "uniform": uniform,
    "[SEP]": lambda sentence: to_token(sentence, len(sentence) - 1),
    "[CLS]": lambda sentence: to_token(sentence, 0),
    "self": lambda sentence: shifted(sentence, 0),
    "previous": lambda sentence: shifted(sentence, -1),
    "next": lambda sentence: shifted(sentence, 1),
}
HEAD = {name: HeadId(0, number) for number, name in enumerate(HAND_MADE)}


def stacked(sentences: list[Sentence]) -> list[np.ndarray]:
    return [np.stack([made(one) for made in HAND_MADE.values()])[None] for one in sentences]


@pytest.fixture(scope="module")
def grown():
    return grown_sentences()


@pytest.fixture(scope="module")
def roles(grown):
    return roles_of_maps(stacked(grown), grown, settings=FEW)


def share_of_offset(sentences, relation: str, step: int) -> float:
    steps = [
        head - word
        for one in sentences
        for word, head in enumerate(one.parse.heads)
        if one.parse.relations[word] == relation
    ]
    return float(np.mean([found == step for found in steps]))


def test_baselines_are_the_best_fixed_offset(roles, grown):
    assert {name: one.count for name, one in roles.relations.items()} == {"far": 360, "det": 120}
    assert (roles.relations["det"].offset, roles.relations["det"].baseline) == (1, 1.0)
    shares = {step: share_of_offset(grown, "far", step) for step in (-3, -2, -1, 1, 2, 3)}
    far = roles.relations["far"]
    assert far.baseline == pytest.approx(max(shares.values()))
    assert shares[far.offset] == max(shares.values())


def test_a_head_that_always_looks_at_the_syntactic_head(roles):
    accuracies = roles.relations["far"].accuracies[:, 0, HEAD["head"].head]
    assert accuracies[0] == 1
    (evidence,) = roles.evidence[HEAD["head"]]
    assert evidence.label == roles.label(HEAD["head"]) == "syntactic: far"
    assert (evidence.measured, evidence.count) == (1.0, 360)
    assert evidence.direction == "dependent to head"
    assert roles.relations["det"].accuracy[0, HEAD["head"].head] == 1  # a perfect offset: no role


def test_a_head_that_always_looks_at_the_dependents(roles):
    at = HEAD["dependents"].head
    assert roles.relations["far"].accuracies[1, 0, at] == 1
    assert roles.relations["far"].direction[0, at] == 1
    assert roles.evidence[HEAD["dependents"]][0].direction == "head to dependent"
    assert roles.label(HEAD["dependents"]) == "syntactic: far"


def test_a_head_has_its_dot_in_the_direction_in_which_it_follows(roles):
    relation = roles.relations["far"]
    ways = {
        way: {HeadId(0, int(at)) for at in np.flatnonzero(follows(relation, roles, way))}
        for way in (*DIRECTIONS, "either way")
    }
    assert ways["dependent to head"] == {HEAD["head"]}
    assert ways["head to dependent"] == {HEAD["dependents"]}
    assert ways["either way"] == {HEAD["head"], HEAD["dependents"]}


@pytest.mark.parametrize(("name", "step"), [("previous word", -1), ("next word", 1)])
def test_a_head_that_always_looks_at_a_neighbour_is_that_offset(roles, grown, name, step):
    for relation, found in roles.relations.items():
        for way, sign in ((0, 1), (1, -1)):
            # The word after is the one whose previous word this is.
            expected = share_of_offset(grown, relation, sign * step)
            assert found.accuracies[way, 0, HEAD[name].head] == pytest.approx(expected)
    assert not any(one.role == "syntactic" for one in roles.evidence[HEAD[name]])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("[SEP]", "delimiter: [SEP]"),
        ("[CLS]", "delimiter: [CLS]"),
        ("uniform", "broad"),
        ("self", "self"),
        ("previous", "previous"),
        ("next", "next"),
    ],
)
def test_habits_made_by_hand(roles, name, label):
    (evidence,) = roles.evidence[HEAD[name]]
    assert roles.label(HEAD[name]) == evidence.label == label
    assert evidence.measured == 1
    tried = len(HAND_MADE) * (3 if evidence.role == "delimiter" else 1)  # there are 3 delimiters
    assert evidence.p == pytest.approx(tried * 0.5**60)
    at = HEAD[name].head
    # The first word's previous token is [CLS], the last one's next [SEP].
    ends = 60 / evidence.count
    touching = {("[CLS]", "previous"), ("[SEP]", "next"), ("previous", "delimiter")}
    touching |= {("next", "delimiter")}
    for other, habit in roles.habits.items():
        if other not in (evidence.role, "rare-token"):
            expected = ends if (name, other) in touching else 0
            assert habit.share[0, at] == pytest.approx(expected)


def test_a_delimiter_is_named_only_where_it_passes_by_itself(grown):
    """One head looks at [CLS] in half of the sentences, the other in three of four; else [SEP]."""
    made = [
        np.stack(
            [to_token(sentence, 0 if number % every else len(sentence) - 1) for every in (2, 4)]
        )[None]
        for number, sentence in enumerate(grown)
    ]
    roles = roles_of_maps(made, grown, settings=FEW)
    (mixed,), (mostly,) = (
        [one for one in roles.evidence[HeadId(0, head)] if one.role == "delimiter"]
        for head in range(2)
    )
    assert (mixed.label, mixed.tag, mixed.measured) == ("delimiter", "delim", 1.0)
    assert mostly.label == "delimiter: [CLS]"
    first = np.arange(len(grown)) % 4 != 0
    asking = np.array([len(sentence) - 2 for sentence in grown])
    assert mostly.measured == pytest.approx(asking[first].sum() / asking.sum())
    exact = binomtest(int(first.sum()), len(grown), alternative="greater").pvalue
    # Holm over two heads and three delimiters: it is the smallest of six.
    assert mostly.p == pytest.approx(6 * exact)


def test_attention_that_favours_no_word_follows_nothing():
    sentences = grown_sentences(most_pieces=1)
    roles = roles_of_maps(stacked(sentences), sentences, settings=FEW)
    assert roles.predictions is not None
    for name in ("uniform", "[SEP]", "[CLS]", "self"):
        for relation in roles.relations.values():
            assert (relation.accuracies[:, 0, HEAD[name].head] == 0).all()
        assert (roles.predictions.of(3)[:, 0, HEAD[name].head] == -1).all()


def test_a_head_that_points_at_rare_tokens():
    rng = np.random.default_rng(0)
    sentences, maps = [], []
    for number in range(40):
        ids = rng.permutation([*range(10, 16), 100 + 2 * number, 101 + 2 * number])
        sentence = sentence_with(list(range(8)), ["ROOT"] * 8, [1] * 8, ids.tolist())
        rare = [int(at) for at in np.flatnonzero(sentence.token_ids >= 100)]
        pointed = to_token(sentence, rare[number % 2])
        away = to_token(sentence, int(np.flatnonzero(sentence.token_ids == 12)[0]))
        sentences.append(sentence)
        maps.append(np.stack([pointed, away])[None])
    roles = roles_of_maps(maps, sentences)
    assert roles.labels == [["rare-token", NO_ROLE]]
    assert roles.habits["rare-token"].share.tolist() == [[1.0, 0.0]]
    assert roles.habits["rare-token"].count == 40 * 6  # the two rare tokens do not ask
    # With frequencies from elsewhere another token is the rare one; ties go to the higher id.
    counts = dict.fromkeys(range(10, 16), 9) | {12: 1} | dict.fromkeys(range(100, 200), 50)
    elsewhere = roles_of_maps(maps, sentences, token_counts=counts)
    assert elsewhere.labels == [[NO_ROLE, "rare-token"]]


def test_the_test_pairs_head_and_offset_sentence_by_sentence(grown):
    """Heads that follow syntax more and more often, against the exact test by hand."""
    rng = np.random.default_rng(3)
    offsets = {"far": 2, "det": 1}
    chances = (0.15, 0.2, 0.25, 0.9)
    maps, wins, losses = [], np.zeros((2, 2, 4)), np.zeros((2, 2, 4))
    for sentence in grown:
        parse, made = sentence.parse, []
        for at, chance in enumerate(chances):
            follows = rng.random(len(parse)) < chance
            # A word that does not follow its head looks at [SEP].
            targets = [head if follows[word] else None for word, head in enumerate(parse.heads)]
            made.append(to_word(sentence, targets.__getitem__))
            for row, (name, step) in enumerate(offsets.items()):
                words = [word for word in range(9) if parse.relations[word] == name]
                by_offset = sum(parse.heads[word] - word == step for word in words)
                # The word that looks at this one most, if it is the only one that does.
                askers = [[one for one in range(9) if targets[one] == word] for word in words]
                for way, right in enumerate(
                    (
                        [targets[word] == parse.heads[word] for word in words],
                        [askers[at] == [parse.heads[word]] for at, word in enumerate(words)],
                    )
                ):
                    wins[way, row, at] += sum(right) > by_offset
                    losses[way, row, at] += sum(right) < by_offset
        maps.append(np.stack(made)[None])
    found = roles_of_maps(maps, grown, settings=FEW)
    assert {name: one.offset for name, one in found.relations.items()} == offsets
    assert (wins + losses).min() < len(grown)  # some sentences are neither won nor lost
    plain = [
        binomtest(int(won), int(max(won + lost, 1)), alternative="greater").pvalue
        for won, lost in zip(wins.flat, losses.flat, strict=True)
    ]
    expected = holm(np.reshape(plain, wins.shape))
    counted = np.stack([found.relations[name].p[:, 0] for name in offsets], axis=1)
    np.testing.assert_allclose(counted, expected, rtol=1e-9)
    assert ((expected > 1e-9) & (expected < 1)).sum() >= 2


def test_random_attention_has_no_role(grown):
    rng = np.random.default_rng(1)
    maps = [rng.dirichlet(np.full(len(one), 0.3), (3, 8, len(one))) for one in grown]
    assert roles_of_maps(maps, grown, settings=FEW).carriers() == {}


def test_few_dependents_are_counted_and_not_judged(grown):
    found = roles_of_maps(stacked(grown), grown, settings=RoleSettings(min_count=361))
    far = found.relations["far"]
    assert far.count == 360 and not far.judged and np.isnan(far.p).all()
    assert far.accuracies[0, 0, HEAD["head"].head] == 1
    assert found.label(HEAD["head"]) != "syntactic: far"
    at_the_line = roles_of_maps(stacked(grown), grown, settings=RoleSettings(min_count=360))
    assert at_the_line.relations["far"].judged
    assert at_the_line.label(HEAD["head"]) == "syntactic: far"


def test_a_small_gain_is_no_role_whatever_its_test(roles, grown):
    far = roles.relations["far"]
    need = 1 - far.baseline
    strict = roles_of_maps(stacked(grown), grown, settings=replace(FEW, margin=need + 0.01))
    assert "syntactic: far" not in strict.carriers()
    exact = roles_of_maps(stacked(grown), grown, settings=replace(FEW, margin=need - 0.01))
    assert exact.carriers()["syntactic: far"] == (HEAD["head"], HEAD["dependents"])


# --- a real pass against loops --------------------------------------------------------------------


def slow_counts(classifier, dataset, parses):
    """Hits, sentences won and lost for every relation and habit, by loops over single tokens."""
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    sentences = sentences_of(classifier, dataset, parses)
    cases = []  # (sentence, dependent, head, relation)
    for number, sentence in enumerate(sentences):
        parse, present = sentence.parse, set(sentence.word_of.tolist())
        cases += [
            (number, word, head, parse.relations[word])
            for word, head in enumerate(parse.heads)
            if head != word and parse.relations[word] not in NOT_JUDGED and {word, head} <= present
        ]
    counts = Counter(case[3] for case in cases)
    offset_hits = {
        name: {
            step: sum(head - word == step for _, word, head, rel in cases if rel == name)
            for step in (-1, 1, -2, 2, -3, 3)
        }
        for name in counts
    }
    best = {name: max(hits, key=lambda step: hits[step]) for name, hits in offset_hits.items()}
    hits = {name: np.zeros((2, layers, heads)) for name in counts}
    net = {name: np.zeros((len(sentences), 2, layers, heads)) for name in counts}
    shares: dict[str, list] = {name: [] for name in (*ROLES,) if name != "syntactic"}
    frequency = Counter(token for one in sentences for token in one.token_ids.tolist())
    for number, sentence in enumerate(sentences):
        text, pair = dataset.texts[number], dataset.pairs and dataset.pairs[number]
        maps = slow_maps(classifier, text, pair)  # [L, H, T, T]
        words = len(sentence.parse)
        between = np.zeros((layers, heads, words, words))
        pieces = [np.flatnonzero(sentence.word_of == word) for word in range(words)]
        for asking in range(words):
            for looked_at in range(words):
                if asking != looked_at and len(pieces[asking]) and len(pieces[looked_at]):
                    part = maps[:, :, pieces[asking]][..., pieces[looked_at]]
                    between[:, :, asking, looked_at] = part.sum(-1).mean(-1)
        for at, word, head, name in cases:
            if at == number:
                to_head = between[:, :, word].argmax(-1) == head
                from_head = between[:, :, :, word].argmax(-1) == head
                right = np.stack([to_head, from_head])
                hits[name] += right
                net[name][number] += right.astype(int) - int(head - word == best[name])
        inner = np.flatnonzero(~np.isin(sentence.parts, (1, 2)))
        top = maps.argmax(-1)  # [L, H, T]
        entropy = -(maps * np.log(maps)).sum(-1)
        for name, hit in {
            "previous": top == np.arange(len(sentence)) - 1,
            "next": top == np.arange(len(sentence)) + 1,
            "self": top == np.arange(len(sentence)),
            "delimiter": sentence.parts[top] > 0,
            "broad": np.exp(entropy) > len(sentence) / 2,
        }.items():
            shares[name].append(hit[:, :, inner])
        kinds = set(sentence.token_ids[sentence.parts == 0].tolist())
        if len(kinds) >= 6:
            rare = sorted(kinds, key=lambda kind: (frequency[kind], -kind))[:2]
            is_rare = np.isin(sentence.token_ids, rare)
            others = inner[~is_rare[inner]]
            shares["rare-token"].append(is_rare[top][:, :, others])
    return counts, best, offset_hits, hits, net, shares


def slow_maps(classifier, text, pair):
    if pair is None:
        return reference.attention_maps(classifier, text)
    model = copy.deepcopy(classifier.model)
    model.set_attn_implementation("eager")
    given = classifier.tokenizer(
        text, pair, return_tensors="pt", truncation=True, max_length=classifier.geometry.max_length
    )
    with torch.no_grad():
        return torch.cat(model(**given, output_attentions=True).attentions).numpy()


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_pass_equals_loops_over_single_sentences(tmp_path, family, paired):
    classifier = load_classifier(save_tiny(tmp_path, family))
    texts = (*TEXTS, "they loved the short film " * 9, "i can't like it ... ?", "👍 good")
    pairs = tuple(reversed(texts)) if paired else None
    dataset = Dataset("some", texts, pairs, np.arange(len(texts)) % 2, ("negative", "positive"))
    parses = parse_dataset(dataset)
    counts, best, offset_hits, hits, net, shares = slow_counts(classifier, dataset, parses)
    found = find_roles(classifier, dataset, settings=FEW)

    assert {name: one.count for name, one in found.relations.items()} == counts
    p = []
    for name, one in found.relations.items():
        assert one.offset == best[name]
        assert one.baseline == offset_hits[name][best[name]] / counts[name]
        np.testing.assert_allclose(one.accuracies, hits[name] / counts[name])
        p.append(sign_test((net[name] > 0).sum(0), (net[name] < 0).sum(0)))
    corrected = holm(np.stack(p, axis=-1))
    for column, one in enumerate(found.relations.values()):
        np.testing.assert_allclose(one.p, corrected[..., column])
    for name, sentences in shares.items():
        together = np.concatenate(sentences, axis=-1)
        np.testing.assert_allclose(found.habits[name].share, together.mean(-1))
        assert found.habits[name].count == together.shape[-1]
        means = np.stack([one.mean(-1) for one in sentences])
        expected = holm(sign_test((means > 0.5).sum(0), (means < 0.5).sum(0)))
        np.testing.assert_allclose(found.habits[name].p, expected)


def test_maps_from_elsewhere_give_the_roles_of_the_pass(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    maps = [reference.attention_maps(classifier, text) for text in TEXTS]
    streamed = find_roles(classifier, dataset, sentences=sentences, settings=FEW)
    assert streamed.predictions is not None
    given = roles_of_maps(maps, sentences, settings=FEW)
    assert given.labels == streamed.labels
    for name, relation in streamed.relations.items():
        np.testing.assert_array_equal(relation.accuracies, given.relations[name].accuracies)
    assert given.predictions is not None
    np.testing.assert_array_equal(streamed.predictions.words, given.predictions.words)


def test_removed_heads_are_not_judged(classifier, dataset):
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    found = find_roles(classifier, dataset, mask=mask, settings=FEW, keep_predictions=False)
    assert found.predictions is None and set(found.evidence) == set(mask)
    for one in found.relations.values():
        np.testing.assert_array_equal(np.isnan(one.accuracy), ~mask.kept)
        assert np.isnan(one.p[:, ~mask.kept]).all()
    assert found.label(HeadId(0, 1)) == NO_ROLE
    with pytest.raises(BhpvasError, match="without predictions"):
        examples(found, [], "det", HeadId(0, 0), DIRECTIONS[0])


def test_examples_add_up_to_the_accuracy(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    found = find_roles(classifier, dataset, sentences=sentences, settings=FEW)
    for name, relation in found.relations.items():
        for way, direction in enumerate(DIRECTIONS):
            shown = examples(found, sentences, name, HeadId(1, 2), direction)
            assert len(shown) == relation.count
            assert np.mean([one.follows for one in shown]) == pytest.approx(
                relation.accuracies[way, 1, 2]
            )
            for one in shown:
                parse = sentences[one.sentence].parse
                assert parse.relations[one.dependent] == name
                assert parse.heads[one.dependent] == one.head
                assert one.predicted != one.dependent


# --- what a scheme changes ------------------------------------------------------------------------


def test_what_a_scheme_removes_and_what_nobody_carries(roles):
    every = roles.carriers()
    mask = roles.mask.without([HEAD["head"], HEAD["[SEP]"], HEAD["uniform"]])
    changes = {one.label: one for one in role_changes(roles, mask)}
    assert set(changes) == set(every)
    assert changes["syntactic: far"].before == (HEAD["head"], HEAD["dependents"])
    assert changes["syntactic: far"].after == (HEAD["dependents"],)
    assert not changes["syntactic: far"].lost
    assert {label for label, one in changes.items() if one.lost} == {"broad", "delimiter: [SEP]"}
    untouched = role_changes(roles, roles.mask)
    assert all(one.before == one.after and not one.lost for one in untouched)


def test_a_role_can_move_to_another_head(roles, grown):
    mask = roles.mask.without([HEAD["uniform"]])
    moved = [np.roll(one, 1, axis=1) for one in stacked(grown)]
    after = replace(roles_of_maps(moved, grown, settings=FEW), mask=mask)
    changes = {one.label: one for one in role_changes(roles, mask, after)}
    assert changes["broad"].before == (HEAD["uniform"],)
    assert changes["broad"].after == (HEAD["[SEP]"],)
    with pytest.raises(BhpvasError, match="another mask"):
        role_changes(roles, roles.mask, after)


# --- bad input, and the registry ------------------------------------------------------------------


def test_maps_that_do_not_fit_are_refused(grown):
    maps = stacked(grown)
    with pytest.raises(BhpvasError, match=r"Sentence 1 has \d+ tokens, so its maps must have"):
        roles_of_maps([maps[0], maps[1][..., :-1]], grown[:2])
    with pytest.raises(BhpvasError, match="maps of sentence 0 are no attention"):
        roles_of_maps([maps[0] * 0.5], grown[:1])
    with pytest.raises(BhpvasError, match="maps of 1 sentences and 2 sentences"):
        roles_of_maps(maps[:1], grown[:2])
    with pytest.raises(BhpvasError, match="maps of 3 sentences and 2 sentences"):
        roles_of_maps(maps[:3], grown[:2])
    with pytest.raises(BhpvasError, match="Sentence 0 has"):
        roles_of_maps([maps[0][0]], grown[:1])


@pytest.mark.parametrize("wrong", [{"min_count": 0}, {"margin": 1.0}, {"level": -0.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BhpvasError, match=r"must be|at least 1"):
        RoleSettings(**wrong)


def test_every_role_says_what_it_means(roles):
    assert {one.role for evidence in roles.evidence.values() for one in evidence} <= set(ROLES)
    for name, role in ROLES.items():
        assert role.name == name
        assert all((role.title, role.summary, role.rule, role.source, role.misleads))


def test_followed_in_one_sentence_agrees_with_the_count(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    found = find_roles(classifier, dataset, sentences=sentences)
    for number, sentence in enumerate(sentences):
        maps = reference.attention_maps(classifier, dataset.texts[number])
        for head in (HeadId(0, 1), HeadId(1, 2)):
            here = followed(sentence, maps[head.layer, head.head])
            for name in found.relations:
                for direction in DIRECTIONS:
                    expected = {
                        one.dependent
                        for one in examples(found, sentences, name, head, direction)
                        if one.sentence == number and one.follows
                    }
                    words = {
                        word
                        for word, ways in here.items()
                        if direction in ways and sentence.parse.relations[word] == name
                    }
                    assert words == expected


def test_followed_by_hand():
    sentence = sentence_with([1, 1, 1], ["a", "ROOT", "b"], [1, 2, 1], [5, 6, 7, 8])
    assert followed(sentence, follows_head(sentence)) == {
        0: ("dependent to head",),
        2: ("dependent to head",),
    }
    even = sentence_with([1, 1, 1], ["a", "ROOT", "b"], [1, 1, 1], [5, 6, 7])
    assert followed(even, uniform(even)) == {}
    alone = sentence_with([0], ["ROOT"], [1], [5])
    assert followed(alone, uniform(alone)) == {}


def test_what_was_counted_can_be_judged_more_than_once(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    counted = count_roles(classifier, dataset, sentences)
    for fewest in (3, 100):
        settings = RoleSettings(min_count=fewest)
        expected = find_roles(classifier, dataset, sentences=sentences, settings=settings)
        again = counted.roles(expected.mask, dataset.name, settings)
        assert again.evidence == expected.evidence and again.settings == settings
        judged = {name for name, one in again.relations.items() if one.judged}
        assert judged == {name for name, count in counted.counts.items() if count >= fewest}


def test_tags_fit_a_cell(roles):
    tags = {one.tag for found in roles.evidence.values() for one in found}
    assert {"far", "prev", "next", "self", "SEP", "CLS"} <= tags
