"""`bhpvas roles`: what every head attends to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import kept_results, load
from bhpvas.cli.options import CacheOptions, DataOptions, ParserOptions, option
from bhpvas.cli.output import Bar, answer, model_record, numbers

if TYPE_CHECKING:
    from bhpvas.interpret.roles import Roles, RoleSettings
    from bhpvas.model.classifier import Classifier


#: What to do about text that is plainly not English.
WAY_OUT = (
    "name a spaCy pipeline of that language with --parser, or say --parser en_core_web_sm to have "
    "all text parsed by it"
)


@dataclass(frozen=True, kw_only=True)
class Options(CacheOptions, ParserOptions, DataOptions):
    split = "calibration"

    min_count: int = option(
        "dependents that a relation needs to be judged (default: 100)", "N", default=100
    )


def run(options: Options) -> None:
    """Say what every head attends to: position, delimiters, rare tokens, syntax, everything."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.interpret.align import sentences_of
    from bhpvas.interpret.parser import parser_identity
    from bhpvas.interpret.roles import RoleSettings, find_roles
    from bhpvas.model.result_key import result_key

    results, settings = kept_results(options.cache), RoleSettings(min_count=options.min_count)
    classifier, dataset = load(options)

    def make() -> Roles:
        with Bar("parsing") as progress:
            sentences = sentences_of(classifier, dataset, parser=options.parser, progress=progress)
        with Bar("reading attention") as progress:
            return find_roles(
                classifier,
                dataset,
                sentences=sentences,
                settings=settings,
                keep_predictions=False,
                progress=progress,
            )

    key = result_key(
        "roles",
        classifier,
        dataset,
        classifier.full_mask(),
        settings=settings,
        parser=parser_identity(options.parser),
    )
    found = results.recall(key, make)
    read = data_record(classifier, dataset)
    answer(options.json, document(classifier, found, settings), lines(found, settings), read=read)


def document(classifier: Classifier, found: Roles, settings: RoleSettings) -> dict[str, Any]:
    from bhpvas.interpret.roles import DIRECTIONS

    return {
        "layers": classifier.geometry.layers,
        "heads": classifier.geometry.heads,
        "sentences": found.sentences,
        "data": found.dataset,
        "model": model_record(classifier),
        "min_count": settings.min_count,
        "parser": parser_record(found),
        "relations": {
            name: {
                "accuracy": numbers(one.accuracy),
                "direction": [[DIRECTIONS[way] for way in row] for row in one.direction.tolist()],
                "baseline": one.baseline,
                "offset": one.offset,
                "count": one.count,
                "judged": one.judged,
            }
            for name, one in found.relations.items()
        },
        "roles": {
            str(head): {
                "label": found.label(head),
                "evidence": [one.to_dict() for one in found.evidence[head]],
            }
            for head in found.mask
        },
    }


def parser_record(found: Roles) -> dict[str, Any]:
    """What parsed, what it looked for, and what was too foreign for it."""
    parsed, by = found.parsed, found.parsed.parser
    assert by is not None
    return {
        "name": by.name,
        "version": by.version,
        "language": by.language,
        "named": by.named,
        "looked_for": list(found.looked_for),
        "not_english": None if by.named else parsed.foreign,
        "note": parsed.note(WAY_OUT) or None,
    }


def lines(found: Roles, settings: RoleSettings) -> list[str]:
    from bhpvas.heads import HeadId
    from bhpvas.interpret.roles import DIRECTIONS

    said = [
        f"{found.sentences} sentences of {found.dataset}; relations with {settings.min_count} "
        f"dependents or more",
        f"parsed by {found.parsed.by}; looked for {', '.join(found.looked_for) or 'no relation'}",
        *filter(None, [found.parsed.note(WAY_OUT)]),
        f"{'relation':12}{'count':>7}{'baseline':>10}{'offset':>8}{'best head':>11}"
        f"{'accuracy':>10}",
    ]
    for one in found.relations.values():
        if one.judged:
            best = HeadId(*divmod(int(one.accuracy.argmax()), found.mask.heads))
            accuracy = one.accuracy[best.layer, best.head]
            said.append(
                f"{one.name:12}{one.count:>7}{100 * one.baseline:>9.1f}%{one.offset:>+8}"
                f"{best!s:>11}{100 * accuracy:>9.1f}%  "
                f"{DIRECTIONS[one.direction[best.layer, best.head]]}"
            )
    said.append("")
    for label, heads in found.carriers().items():
        said.append(f"{label:24}{', '.join(map(str, heads))}")
    without = [str(head) for head in found.mask if not found.evidence[head]]
    return [*said, f"{'no role':24}{', '.join(without) or '–'}"]
