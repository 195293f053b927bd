"""Write docs/case-study-samples.md: one finding on the sample data, every number computed here.

    python scripts/case_study_samples.py

Runs the library, takes the pictures from the running app, and writes text and pictures to docs/.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bhpvas import text  # noqa: E402
from bhpvas.criteria import removal_order, score  # noqa: E402
from bhpvas.data.reading import sample_splits  # noqa: E402
from bhpvas.evaluation.comparison import (  # noqa: E402
    accuracy_change_interval,
    flips,
    mcnemar,
)
from bhpvas.evaluation.evaluation import Evaluation, evaluate  # noqa: E402
from bhpvas.evaluation.groups import compare_groups, importance_shares  # noqa: E402
from bhpvas.evaluation.slices import groupings, slice_table  # noqa: E402
from bhpvas.heads import HeadId  # noqa: E402
from bhpvas.interpret.roles import find_roles  # noqa: E402
from bhpvas.interpret.sentence import contributions  # noqa: E402
from bhpvas.model.classifier import load_classifier  # noqa: E402
from tests.browser.chromium import launch  # noqa: E402
from tests.browser.server import serving  # noqa: E402
from tests.browser.workbench import Workbench  # noqa: E402

TAG = "double negation"
REMOVED = 36
TEXT = """# Case study: what happens to a double negation

The question of a person who opens **Samples**: which sentences does pruning change, which heads
matter for them, and what do these heads look at? Sample model, sample sentences; every number on
this page is printed by `scripts/case_study_samples.py`, which also took the pictures.

## Half of the heads go

Importance is scored on the {calibration} calibration sentences; the {removed} heads that score
lowest go. On the {n} evaluation sentences accuracy moves from {before} to {after}%, a change of
{change}; {flipped} answers flip, {lost} lost and {gained} gained (McNemar p {mcnemar}).

![Samples: the map of sentences and the change of accuracy by tag](images/case-samples.png)

By tag, the change is:

| tag | sentences | before | after | change in points (95%) | lost | gained | p (corrected) |
|---|---|---|---|---|---|---|---|
{slices}

## Which heads matter for a double negation?

The tag {tag!r} has {tag_n} evaluation sentences. Each head's share of a sentence's importance is
compared between them and the other {rest_n}, with a permutation test that corrects for the
{heads} heads, though not for having {tags} tags to choose from. {found_count}:

| head | share, {tag} | share, the rest | difference in points | p (corrected) |
|---|---|---|---|---|
{found}

{head} stands out: double negations lean on it more than other sentences do. With the choice among
{tags} tags counted in (Bonferroni), its p is {p_of_tags}. It {kept}.

## What does {head} look at?

{role}

![Sentence: dependencies above, the attention of {head} below](images/case-sentence.png)

## Does it carry the decision?

Removing {head} alone from the unpruned model moves accuracy on the {tag_n} double negations from
{tag_before} to {tag_after}% ({tag_change}), and on the other {rest_n} sentences from {rest_before}
to {rest_after}% ({rest_change}).

The sentence of the picture is the one of the {tag_n} that loses most: in {sentence!r} ({label})
the model gives {label} a probability of {p_before}, and {p_after} without {head}. Each head removed
alone, {head} ranks {place} of {heads} by what the answer loses.

## What to take from it

A share of importance says where a decision is sensitive, not that it fails without the head. With
{tag_n} sentences only large differences can be seen: the interval of the change above says how
large. Whoever wants to prune for a product with many such sentences adds some to the calibration
split, and looks again.
"""


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def percent(share: float) -> str:
    return text.percent(share)


def points(before: Evaluation, after: Evaluation) -> str:
    change, low, high = accuracy_change_interval(before, after)
    return f"{text.signed(100 * change)} points {text.change_interval(low, high)}"


def main() -> None:
    classifier, splits = load_classifier(), sample_splits()
    data = splits.evaluation.aligned(classifier.label_names)
    full = classifier.full_mask()

    learned = score(classifier, splits.calibration, ["importance"])
    mask = full.without(removal_order(learned.values["importance"])[:REMOVED])
    before, after = evaluate(classifier, data), evaluate(classifier, data, mask)
    lengths = classifier.encode(data).lengths
    by_tag = next(
        one for title, one in groupings(data, classifier.task, lengths).items()
        if title == "tag"
    )  # fmt: skip
    table = slice_table(by_tag, before, after).sort_values("accuracy change")

    measured = score(classifier, data, ["importance"])
    chosen = np.array([tag == TAG for tag in data.tags or ()])
    comparison = compare_groups(
        importance_shares(measured.per_example["importance"], full.kept), chosen, full.kept
    )
    places = sorted(
        map(tuple, np.argwhere(comparison.found())),
        key=lambda place: -comparison.difference[place],
    )
    head = HeadId(*map(int, places[0]))
    roles = find_roles(classifier, splits.calibration, keep_predictions=False)

    parts = {"tag": np.flatnonzero(chosen), "rest": np.flatnonzero(~chosen)}
    alone = full.without([head])
    pairs = {
        name: (
            evaluate(classifier, data.take(rows)),
            evaluate(classifier, data.take(rows), alone),
        )
        for name, rows in parts.items()
    }
    row = int(parts["tag"][np.argmax(effects(classifier, data, parts["tag"], head))])
    label = int(data.labels[row])
    one = contributions(classifier, data.texts[row], label=label)
    without = evaluate(classifier, data.take([row]), alone)
    removal = one.removal
    place = 1 + int((removal > removal[head.layer, head.head]).sum())

    test = mcnemar(before, after)
    page = TEXT.format(
        calibration=len(splits.calibration),
        removed=REMOVED,
        n=before.n,
        before=percent(before.accuracy),
        after=percent(after.accuracy),
        change=points(before, after),
        flipped=len(flips(before, after)),
        lost=test.lost,
        gained=test.gained,
        mcnemar=p_value(test.p),
        slices="\n".join(slice_row(row) for row in table.to_dict("records")),
        tag=TAG,
        tag_n=comparison.chosen,
        rest_n=comparison.rest,
        heads=full.layers * full.heads,
        tags=len(table),
        p_of_tags=f"{min(1.0, len(table) * comparison.p[places[0]]):.2f}",
        found_count=text.plural(len(places), "head")
        + " differ"
        + ("s" if len(places) == 1 else ""),
        found="\n".join(
            f"| L{layer}H{number} | {100 * comparison.chosen_mean[layer, number]:.2f}% | "
            f"{100 * comparison.rest_mean[layer, number]:.2f}% | "
            f"{text.signed(100 * comparison.difference[layer, number], 2)} | "
            f"{comparison.p[layer, number]:.3f} |"
            for layer, number in places
        ),
        head=head,
        kept="is among the heads that stay"
        if head not in mask.removed
        else f"is among the {REMOVED} heads that go",
        role=role_text(roles, head),
        sentence=data.texts[row],
        label=classifier.label_names[label],
        p_before=f"{before.probabilities[row, label]:.2f}",
        p_after=f"{without.probabilities[0, label]:.2f}",
        place=place,
        **{f"{name}_before": percent(pair[0].accuracy) for name, pair in pairs.items()},
        **{f"{name}_after": percent(pair[1].accuracy) for name, pair in pairs.items()},
        **{f"{name}_change": points(*pair) for name, pair in pairs.items()},
    )
    (ROOT / "docs" / "case-study-samples.md").write_text(page, encoding="utf-8")
    print(page)
    pictures(head, data.texts[row])


def effects(classifier, data, rows, head):
    """By how much each sentence's right label loses probability without the head."""
    part = data.take(rows)
    own = np.arange(len(rows)), part.labels
    whole = evaluate(classifier, part).probabilities[own]
    return (
        whole
        - evaluate(classifier, part, classifier.full_mask().without([head])).probabilities[own]
    )


def slice_row(row: dict[str, float]) -> str:
    low, high = row["accuracy change low"], row["accuracy change high"]
    return (
        f"| {row['slice']} | {row['n']} | {percent(row['accuracy before'])} | "
        f"{percent(row['accuracy after'])} | {text.signed(100 * row['accuracy change'])} "
        f"{text.change_interval(low, high)} | {row['lost']} | {row['gained']} | {row['p']:.2f} |"
    )


def role_text(roles, head: HeadId) -> str:
    """What the roles say of a head, with the evidence."""
    evidence = roles.evidence[head]
    if not evidence:
        return (
            f"None of the roles: on the {roles.sentences} calibration sentences {head} does not "
            "beat the rivals of any role by a corrected test. What it attends to differs from "
            "sentence to sentence."
        )
    return "\n".join(
        f"- **{one.label}**: {100 * one.measured:.1f}% against {100 * one.baseline:.1f}% on "
        f"{one.count} cases (corrected p {p_value(one.p)})."
        for one in evidence
    )


def pictures(head: HeadId, sentence: str) -> None:
    """The pages as they show the finding."""
    folder = ROOT / "docs" / "images"
    with (
        tempfile.TemporaryDirectory() as home,  # no work of earlier days is offered
        serving({"BHPVAS_HOME": home}) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        workbench = Workbench(page, address)
        workbench.open()
        workbench.settle()
        page.get_by_label("Colour by").click()
        page.get_by_role("option", name="Importance", exact=True).click()
        workbench.settle()
        page.get_by_label("How many").fill(str(REMOVED))
        page.keyboard.press("Enter")
        workbench.settle()
        workbench.press(f"Select lowest {REMOVED}")
        workbench.press(f"Remove {REMOVED} heads")
        workbench.settle()
        workbench.go("Samples", ".st-key-sentence-map .nsewdrag")
        workbench.settle()
        page.screenshot(path=folder / "case-samples.png")
        workbench.go("Workbench", ".st-key-head-map .nsewdrag")
        workbench.press("Undo")
        workbench.settle()
        workbench.click_head(head.layer, head.head)
        workbench.go("Sentence", ".st-key-arcs .main-svg")
        workbench.settle()
        page.locator(".st-key-sentence-from").get_by_text("Typed", exact=True).click()
        box = page.get_by_placeholder("Type a sentence")
        box.fill(sentence)
        box.press("Enter")
        workbench.settle()
        page.screenshot(path=folder / "case-sentence.png")
        page.close()


if __name__ == "__main__":
    main()
