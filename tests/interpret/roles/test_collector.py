"""The collector: a real pass against loops over single sentences."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.align import sentences_of
from bhpvas.interpret.parse import parse_texts
from bhpvas.interpret.roles import (
    DIRECTIONS,
    NO_ROLE,
    ROLES,
    RoleCollector,
    RoleSettings,
    examples,
    find_roles,
)
from bhpvas.interpret.roles.relations import NOT_JUDGED
from bhpvas.model.classifier import load_classifier
from bhpvas.stats import holm, sign_test
from tests import reference
from tests.conftest import TEXTS
from tests.interpret.roles.hand_made import FEW, roles_of_maps
from tests.tiny import save_tiny


def slow_counts(classifier, dataset, parses):
    """Hits, sentences won and lost for every relation and pattern, by loops over single tokens."""
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
        for query in range(words):
            for key in range(words):
                if query != key and len(pieces[query]) and len(pieces[key]):
                    part = maps[:, :, pieces[query]][..., pieces[key]]
                    between[:, :, query, key] = part.sum(-1).mean(-1)
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
    parses = parse_texts(texts, pairs)
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
        np.testing.assert_allclose(found.patterns[name].share, together.mean(-1))
        assert found.patterns[name].count == together.shape[-1]
        means = np.stack([one.mean(-1) for one in sentences])
        expected = holm(sign_test((means > 0.5).sum(0), (means < 0.5).sum(0)))
        np.testing.assert_allclose(found.patterns[name].p, expected)


def test_maps_from_elsewhere_give_the_roles_of_the_pass(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    maps = [reference.attention_maps(classifier, text) for text in TEXTS]
    streamed = find_roles(classifier, dataset, sentences=sentences, settings=FEW)
    assert streamed.predictions is not None
    given = roles_of_maps(maps, sentences, settings=FEW)
    assert all(given.label(head) == streamed.label(head) for head in given.mask.every_head())
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


def test_what_was_counted_can_be_judged_more_than_once(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    counted = RoleCollector(sentences, classifier.geometry.layers, classifier.geometry.heads)
    counted.count(classifier, dataset)
    for fewest in (3, 100):
        settings = RoleSettings(min_count=fewest)
        expected = find_roles(classifier, dataset, sentences=sentences, settings=settings)
        again = counted.roles(expected.mask, dataset.name, settings)
        assert again.evidence == expected.evidence and again.settings == settings
        judged = {name for name, one in again.relations.items() if one.judged}
        assert judged == {
            name for name, count in counted.relations.counts.items() if count >= fewest
        }
