"""Choice of a task: what a config says that the outputs of its model answer.

1. ``problem_type`` decides, as in transformers. Without one, a model with one output gives a score
   (``regression``), and one with several gives one label out of them.
2. A score goes through a sigmoid, and its loss is binary cross-entropy, where the config has the
   activation of a cross-encoder of sentence-transformers, and that is a sigmoid:
   ``sentence_transformers: {"activation_fn": "…Sigmoid"}`` or, as earlier versions wrote it,
   ``sbert_ce_default_activation_function``. ``…Identity``, as in rerankers trained on MS MARCO, and
   no activation leave the score as it is, with squared error; so does ``problem_type``
   ``regression``, under which transformers trains by it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Activation, Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel

#: Every kind of task, by its name in a config.
TASKS: dict[str, type[Task]] = {one.name: one for one in (SingleLabel, Score, SeveralLabels)}
# What sentence-transformers puts after a model with one output, by the end of its name.
_ACTIVATIONS: dict[str, Activation] = {"identity": "identity", "sigmoid": "sigmoid"}


def task_of(config: Mapping[str, Any], label_names: Sequence[str], name: str) -> Task:
    """The task of a model called ``name``, by its config, which has as many labels.

    Raises :class:`ModelError` where the config says something that is none of the three tasks.

    >>> task_of({}, ["LABEL_0"], "mine").name, task_of({}, ["no", "yes"], "mine").name
    ('regression', 'single_label_classification')
    """
    names = tuple(label_names)
    kind = config.get("problem_type")
    if kind is None:
        kind = Score.name if len(names) == 1 else SingleLabel.name
    if kind not in TASKS:
        raise ModelError(
            f"The config.json of {name!r} has the problem_type {reprlib.repr(kind)}: write one of "
            f"{', '.join(TASKS)}, as the model was trained."
        )
    if kind == SingleLabel.name and len(names) == 1:
        raise ModelError(
            f"The model {name!r} has one label, so that one label out of several is always that "
            f'one: write "problem_type": "{Score.name}" into its config.json if it gives a score.'
        )
    if kind == Score.name:
        if len(names) > 1:
            raise ModelError(
                f"The model {name!r} gives {len(names)} scores at once; bhpvas takes models that "
                "give one."
            )
        return Score(names, _activation(config, name))
    return TASKS[kind](names)


def _activation(config: Mapping[str, Any], name: str) -> Activation:
    """What is done to the only output."""
    if config.get("problem_type") == Score.name:
        return "identity"
    of = config.get("sentence_transformers")
    found = of.get("activation_fn") if isinstance(of, Mapping) else None
    found = found or config.get("sbert_ce_default_activation_function")
    if found is None:
        return "identity"
    ending = str(found).rpartition(".")[2].casefold()
    if ending not in _ACTIVATIONS:
        raise ModelError(
            f"The config.json of {name!r} puts {str(found)!r:.80} after the score, which is not "
            "supported: sigmoid and identity are."
        )
    return _ACTIVATIONS[ending]
