"""`bhpvas evaluate`: accuracy and cost of a mask."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import kept_results, load, mask_without, opened_scheme
from bhpvas.cli.options import CacheOptions, DataOptions, PassOptions, RemoveOptions, option
from bhpvas.cli.output import Bar, answer, learnt_lines, model_record

if TYPE_CHECKING:
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.heads import HeadMask
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.encoding import Encoded


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, RemoveOptions, CacheOptions, DataOptions):
    exclusive = ("remove", "scheme")

    scheme: str | None = option("evaluate the current step of a scheme file", "S")


def run(options: Options) -> None:
    """Measure a mask: the task's metrics with intervals, what changes, parameters and FLOPs."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.evaluation.evaluation import evaluate
    from bhpvas.evaluation.learnt_from import learnt_from
    from bhpvas.model.result_key import result_key
    from bhpvas.model.states import StateCache
    from bhpvas.scheme.scheme import Scheme

    results, cache = kept_results(options.cache), StateCache()
    path = options.scheme
    with nullcontext() if path is None else opened_scheme(path, options.model) as opened:
        classifier, dataset = load(options)
        changed, mask = classifier, mask_without(classifier, options.remove)
        scheme = Scheme.of(classifier)
        if opened is not None:
            scheme, folder = opened
            changed, mask = scheme.on(classifier, folder), scheme.mask

        def measured(what: str, one: Classifier, mask: HeadMask) -> Evaluation:
            def make() -> Evaluation:
                with Bar(f"evaluating {what}") as progress:
                    return evaluate(one, dataset, mask, cache=cache, progress=progress)

            return results.recall(result_key("evaluation", one, dataset, mask), make)

        unpruned = found = measured("the unpruned model", classifier, classifier.full_mask())
        if mask.changes or changed is not classifier:
            found = measured("the mask", changed, mask)
    encoded = classifier.encode(dataset)
    counted = learnt_from(scheme, encoded.fingerprints, unpruned, found)
    known = document(classifier, encoded, mask, unpruned, found) | counted.record()
    said = lines(mask, unpruned, found, known)
    if path is not None or not counted.clean:
        said += learnt_lines(counted)
    read = data_record(classifier, dataset, encoded, unpruned=unpruned)
    answer(options.json, known, said, read=read)


def document(
    classifier: Classifier,
    encoded: Encoded,
    mask: HeadMask,
    unpruned: Evaluation,
    found: Evaluation,
) -> dict[str, Any]:
    from bhpvas.evaluation.comparison import summary
    from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters

    return summary(unpruned, found) | {
        "parameters": parameters(classifier.geometry, mask),
        "flops_per_sentence": flops_per_sentence(classifier.geometry, mask, encoded.lengths),
        "neurons_kept": neurons_kept(classifier.geometry, mask),
        "truncated_sentences": encoded.truncated,
        "model": model_record(classifier),
    }


def lines(
    mask: HeadMask, unpruned: Evaluation, found: Evaluation, document: dict[str, Any]
) -> list[str]:
    from bhpvas.evaluation.comparison import accuracy_change_interval, change_text
    from bhpvas.text import plural

    said = [
        f"{plural(found.n, 'sentence')} of {found.dataset}, {mask.kept_count} of "
        f"{mask.layers * mask.heads} heads{_neurons(mask, document)} kept",
        *(label_lines(found) if found.is_single_label else metric_lines(found)),
        f"parameters  {document['parameters']:,}",
        f"FLOPs       {document['flops_per_sentence'] / 1e6:,.1f} million a sentence",
    ]
    if mask.changes and found.is_single_label:
        change, least, most = map(_points, accuracy_change_interval(unpruned, found))
        said.insert(
            2,
            f"change      {change} points against the unpruned model (95% interval {least} to "
            f"{most}), {plural(len(document['flipped']), 'prediction')} flipped",
        )
    elif mask.changes:
        p = document["headline_change"]["p"]
        said.insert(
            2,
            f"change      {change_text(unpruned, found)} against the unpruned model"
            + ("" if p is None else f", p = {p:.2g} ({found.task.test})")
            + f"; {plural(len(document['flipped']), 'answer')} changed: "
            f"{found.task.changed_if(unpruned.labels)}",
        )
    return said


def label_lines(found: Evaluation) -> list[str]:
    """The metrics of one label out of several."""
    low, high = found.accuracy_interval
    return [
        f"accuracy    {100 * found.accuracy:.1f}% (95% interval {100 * low:.1f} to "
        f"{100 * high:.1f})",
        f"loss        {found.loss:.4f}",
        f"{found.f1_title:11} {found.f1:.4f}",
    ]


def metric_lines(found: Evaluation) -> list[str]:
    """The metrics of another task."""
    from bhpvas.tasks.base import measured_text

    return [
        f"{found.task.metric(name).title}  {measured_text(found.task.metric(name), one)}"
        for name, one in found.measured.items()
    ]


def _neurons(mask: HeadMask, document: dict[str, Any]) -> str:
    """How many neurons are kept, where some are removed."""
    if mask.neurons is None:
        return ""
    return f" and {sum(document['neurons_kept']):,} of {mask.layers * mask.neurons.width:,} neurons"


def _points(share: float) -> str:
    from bhpvas.text import signed

    return signed(100 * share)
