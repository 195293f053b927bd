"""Steps that remove and restore feed-forward neurons, in the tree and in files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bhpvas.errors import LinkError, SchemeError
from bhpvas.heads import parse_heads
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.link import Link
from bhpvas.scheme.scheme import Scheme
from tests.scheme.trees import LAYERS, started

WIDTH = 13
moves = st.lists(
    st.tuples(st.sampled_from(["remove", "restore", "undo"]), arrays(bool, (LAYERS, WIDTH))),
    max_size=6,
)
SOME = NeuronSet.of_layers(LAYERS, WIDTH, {0: [0, 12], 1: [5]})


@given(moves)
def test_what_is_removed_is_what_an_array_says(moves):
    scheme, gone = started(), [np.zeros((LAYERS, WIDTH), dtype=bool)]
    for what, chosen in moves:
        if what == "undo":
            scheme = scheme.undone()
            gone = gone[:-1] or gone
            continue
        after = gone[-1] | chosen if what == "remove" else gone[-1] & ~chosen
        step = scheme.removing if what == "remove" else scheme.restoring
        if (after == gone[-1]).all():
            with pytest.raises(SchemeError, match="nothing to"):
                step((), neurons=NeuronSet.of(chosen))
            continue
        scheme = step((), neurons=NeuronSet.of(chosen))
        gone.append(after)
        np.testing.assert_array_equal(scheme.step(scheme.current).neurons.array, after ^ gone[-2])
    expected = NeuronSet.of(gone[-1])
    assert scheme.mask.neurons == (expected if expected else None)
    assert Scheme.from_json(scheme.to_json()) == scheme


def test_a_step_may_change_heads_and_neurons():
    scheme = started().removing(parse_heads("L0H3"), neurons=SOME)
    assert (str(scheme.mask), scheme.mask.neurons) == ("L0H3", SOME)
    back = scheme.restoring(parse_heads("L0H3"), neurons=SOME)
    assert back.mask == started().mask
    recovered = scheme.recovered("0" * 16, "compensate")
    assert recovered.mask == scheme.mask


def test_only_files_with_neurons_are_of_the_second_version():
    heads = started().removing(parse_heads("L0H3"))
    both = heads.removing((), neurons=SOME)
    versions = [json.loads(one.to_json())["format"]["version"] for one in (heads, both)]
    assert versions == [1, 2]
    assert "neurons" not in json.loads(heads.to_json())["steps"][1]


@pytest.mark.parametrize(
    "change",
    [
        lambda step: step["neurons"].update(bits=["ff"]),
        lambda step: step["neurons"].update(bits=["ffff", ""]),  # beyond the 13th
        lambda step: step["neurons"].update(bits=["ff", ""]),
        lambda step: step["neurons"].update(bits=["", ""]),
        lambda step: step["neurons"].update(bits=["0000", "8000"]),
        lambda step: step["neurons"].update(bits=["xx00", ""]),
        lambda step: step["neurons"].update(bits=[7, ""]),
        lambda step: step["neurons"].update(width=0),
        lambda step: step["neurons"].update(width=2**40),
        lambda step: step["neurons"].update(width=21),
        lambda step: step.update(neurons=[]),
        lambda step: step.update(what="restore", heads=[]),
        lambda step: step.update(what="start"),
    ],
)
def test_neurons_that_cannot_be_are_refused_in_a_sentence(change):
    document = json.loads(started().removing(parse_heads("L0H3"), neurons=SOME).to_json())
    change(document["steps"][1])
    with pytest.raises(SchemeError) as refused:
        Scheme.from_json(json.dumps(document))
    assert "\n" not in str(refused.value)


def test_bits_that_are_none_are_said_to_be_no_digits():
    document = json.loads(started().removing((), neurons=SOME).to_json())
    document["steps"][1]["neurons"]["bits"][0] = "xx00"
    with pytest.raises(SchemeError, match="is 'xx00' and not hexadecimal digits"):
        Scheme.from_json(json.dumps(document))
    document["steps"][1]["neurons"]["width"] = 10**9
    with pytest.raises(SchemeError, match="is 1000000000 and not 1000000 or less"):
        Scheme.from_json(json.dumps(document))


def test_a_link_holds_no_neurons():
    scheme = started().removing(parse_heads("L0H3")).removing((), neurons=SOME)
    with pytest.raises(LinkError, match="neurons are removed, which no address can hold"):
        Link(scheme).to_text()
    found = Link.from_text(Link(scheme.undone()).to_text())
    assert [str(found.scheme.mask_at(step.id)) for step in found.scheme.steps] == ["", "L0H3"]


def test_neurons_of_another_width_cannot_follow():
    scheme = started().removing((), neurons=SOME)
    document = json.loads(scheme.removing(parse_heads("L0H3")).to_json())
    document["steps"][2]["neurons"] = {"width": 8, "bits": ["80", ""]}
    with pytest.raises(SchemeError, match="cannot remove the neurons L0F 1/8"):
        Scheme.from_json(json.dumps(document))
