"""Write docs/case-study-schemes.md: from 72 heads to a model three times cheaper to ship.

    python scripts/case_study_schemes.py

Runs the library, takes the pictures from the running app, and writes text and pictures to docs/.
Points of curves are kept in build/, so that a run that was stopped goes on where it was; delete
them after a change of the code.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bhpvas import text  # noqa: E402
from bhpvas.data.dataset import Dataset  # noqa: E402
from bhpvas.data.reading import sample_splits  # noqa: E402
from bhpvas.evaluation.comparison import (  # noqa: E402
    accuracy_change_interval,
    flips,
    mcnemar,
)
from bhpvas.evaluation.evaluation import Evaluation, evaluate  # noqa: E402
from bhpvas.evaluation.slices import groupings, slice_table  # noqa: E402
from bhpvas.export import export_model  # noqa: E402
from bhpvas.heads import HeadId, HeadMask  # noqa: E402
from bhpvas.model.classifier import Classifier, load_classifier  # noqa: E402
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters, speed_bound  # noqa: E402
from bhpvas.model.result_key import result_key  # noqa: E402
from bhpvas.recovery import Recovered, recover  # noqa: E402
from bhpvas.scheme.scheme import Scheme  # noqa: E402
from bhpvas.search import DEFAULT_METHOD, METHODS, propose  # noqa: E402
from bhpvas.search.budget import Target  # noqa: E402
from bhpvas.search.curves import Curve, Store, areas, measure_curve  # noqa: E402
from bhpvas.search.registry import TO_TARGET  # noqa: E402
from bhpvas.search.target import Narrowed, narrow_to  # noqa: E402
from bhpvas.stats import band  # noqa: E402
from bhpvas.storage.results import kept_results  # noqa: E402
from tests.browser.chromium import launch  # noqa: E402
from tests.browser.server import serving  # noqa: E402
from tests.browser.workbench import Workbench  # noqa: E402

STORE = ROOT / "build" / "case-study-schemes.jsonl"
#: Where the app finds the curves that are measured here, so that it does not measure them again.
KEPT = ROOT / "build" / "case-study-results"
METHOD = METHODS[DEFAULT_METHOD]
SIZES = (18, 36, 45, 54, 63)
#: How many times fewer FLOPs the family needs, and which of it one would ship.
FAMILY, SHIPPED = (1.5, 2, 2.5, 3, 4, 5), 3
#: What a person would give: points of accuracy on the calibration sentences.
MAY_LOSE = 0.03
EVERY, RANDOM = 9, 20
TEXT = """# Case study: from 72 heads to a model three times cheaper

The question of a person who opens **Schemes**: how many heads can go, which, and what is left of
the accuracy? And then, since heads are the smaller part of the arithmetic: what of the rest?
Sample model, sample sentences; every number on this page is printed by
`scripts/case_study_schemes.py`, which also took the pictures. Whatever chooses or fits anything
sees the {calibration} calibration sentences only; every accuracy is measured on the {n} evaluation
sentences, where the unpruned model is right on {start}.

## What a proposal is worth

**Propose** names heads in the order in which they should go, each with its reason; the default
method is {method!r}. **Recover** then refits what the kept heads write, without training. The same
numbers of heads by importance alone, as the literature does it, and by chance (neither
compensated):

| heads removed | {method} | compensated | importance | random, 5 to 95% |
|---|---|---|---|---|
{sizes}

![Propose: the heads that would go, in order, and why](images/case-propose.png)

## How many?

Asked for a largest drop of {may_lose} instead of a number, the search goes as far as the
accuracy on the calibration sentences allows, after compensation: **{count} heads**. The first and
the last reasons that it gives:

{reasons}

A person looks at the end of the list, where the removals cost most, and keeps {spared} by hand:
{left} heads go.

## Recover

Compensation takes {seconds} and {sentences} sentences. The error of each layer's attention output,
on calibration sentences that were held out, as a share of its variance:

| layer | heads kept | before | after |
|---|---|---|---|
{layers}

Accuracy moves from {masked} as masked to **{compensated}** compensated: {change} against the
unpruned model, {flipped} answers flip, {lost} lost and {gained} gained (McNemar p {p}).

## Against the importance-only proposal

Two steps back, a branch: as many heads by importance alone, without compensation, leave
{by_importance}. On the same sentences the compensated scheme is {difference} from it, {rescued}
right only there, {missed} right only by importance (McNemar p {p_pair}).

![Compare: both branches on the same sentences](images/case-compare.png)

## The evidence

One proposal could be luck. The whole curves, measured at every {every} heads:

| order | afterwards | area under the curve |
|---|---|---|
{areas}

The area is the mean accuracy over all numbers of heads. {random} random orders, with
nothing afterwards, have {random_area} on average.

![Evidence: accuracy against heads kept, with the band of random orders](images/case-evidence.png)

## What heads alone bring

{shipped}

{again}

    bhpvas propose {arguments} --out scheme.json
    bhpvas recover --scheme scheme.json --method compensate --out compensated.json
    bhpvas compare compensated.json --out table.csv

With every head gone it would be {heads_bound} times as fast at most: heads are {heads_share} of the
arithmetic of these sentences. The rest is the feed-forward part of each layer.

## Heads and neurons: how small?

**Propose** asks for a share of the arithmetic. One search, on the same {calibration} calibration
sentences and without their labels, finds what costs least at each share, and refits what is left
layer by layer. This is the family; KL from the unpruned answers is that on the calibration
sentences, accuracy that on the evaluation split:

| FLOPs | heads | neurons | parameters | KL, nats | accuracy | change, points |
|---|---|---|---|---|---|---|
{family}

![Propose: what goes for a third of the FLOPs, and the family](images/case-target.png)

The intervals are wide, and {n} sentences do not tell neighbours apart: what falls is the
agreement with the unpruned answers. A person who wants three times less takes ÷ 3, which keeps

| layer | heads | neurons |
|---|---|---|
{widths}

## What it costs on each kind of sentence

The average may hide it, so each tag by itself, {n} sentences in all; p is McNemar's, corrected for
the {kinds} kinds (Holm):

| kind | sentences | unpruned | ÷ 3 | change, points | p |
|---|---|---|---|---|---|
{slices}

{verdict}

## Other ways to the same size

At a third of the FLOPs, on the same sentences:

| method | accuracy | change, points |
|---|---|---|
{rivals}

## What one would ship

{third} Exported for PyTorch and read back, no logit differs by more than {difference} from the
model's on the screen.

    bhpvas propose --target flops=0.333 --out third.zip
    bhpvas compare third.zip --out table.csv
    bhpvas export --scheme third.zip --format transformers --out smaller
"""


def right(found: Evaluation) -> str:
    return f"{text.percent(found.accuracy)}% {text.interval(*found.accuracy_interval)}"


def points(before: Evaluation, after: Evaluation) -> str:
    change, low, high = accuracy_change_interval(before, after)
    return f"{text.signed(100 * change)} points {text.change_interval(low, high)}"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def compensated(
    classifier: Classifier, calibration: Dataset, data: Dataset, mask: HeadMask
) -> tuple[Recovered, Evaluation]:
    """A recovery of a mask, and the recovered model on the evaluation split."""
    fitted = recover(classifier, calibration, mask)
    return fitted, evaluate(classifier.with_weights(fitted.weights), data, mask)


def size_rows(found: list[Curve]) -> str:
    """Accuracy at each size: the method masked and compensated, importance, and chance."""

    def at(method: str, recovery: str | None, count: int) -> list[float]:
        return [
            one.headline[one.removed.index(count)]
            for one in found
            if (one.method, one.recovery) == (method, recovery)
        ]

    rows = []
    for count in SIZES:
        low, _, high = band(np.array(at("random", None, count)))
        (masked,), (best,) = (at(DEFAULT_METHOD, then, count) for then in (None, "compensate"))
        (importance,) = at("importance", None, count)
        rows.append(
            f"| {count} | {percent(masked)} | **{percent(best)}** | {percent(importance)} | "
            f"{percent(low)} to {percent(high)} |"
        )
    return "\n".join(rows)


def percent(share: float) -> str:
    return f"{text.percent(float(share))}%"


def curves(classifier: Classifier, calibration: Dataset, data: Dataset) -> list[Curve]:
    total = len(list(classifier.full_mask().every_head()))
    asked = [
        (method, recovery, 0)
        for method in dict.fromkeys((DEFAULT_METHOD, "importance", "fisher"))
        for recovery in (None, "compensate")
    ] + [("random", None, draw) for draw in range(RANDOM)]
    STORE.parent.mkdir(exist_ok=True)
    store = Store(STORE)
    found = [
        measure_curve(
            classifier,
            calibration,
            data,
            method,
            range(0, total + 1, EVERY),
            recovery=recovery,
            seed=seed,
            store=store,
        )
        for method, recovery, seed in asked
    ]
    full, learnt_on = classifier.full_mask(), calibration.fingerprint
    kept_results().put(
        result_key("curves", classifier, data, full, calibration=learnt_on), store.known
    )
    return found


def evaluated(classifier: Classifier, data: Dataset, one: Narrowed) -> Evaluation:
    return evaluate(classifier.with_weights(one.weights), data, one.mask)


def family_rows(
    classifier: Classifier, start: Evaluation, found: dict[Narrowed, Evaluation]
) -> str:
    geometry = classifier.geometry
    return "\n".join(
        f"| ÷ {1 / (one.target.share or 1):g} | {one.mask.kept_count} | "
        f"{sum(neurons_kept(geometry, one.mask)):,} | {text.big(parameters(geometry, one.mask))} | "
        f"{text.number(one.divergence)} | {right(after)} | {points(start, after)} |"
        for one, after in found.items()
    )


def slice_rows(table: pd.DataFrame) -> str:
    """What each kind of sentences loses, most first."""
    return "\n".join(
        f"| {row['slice']} | {row['n']} | {percent(row['accuracy before'])} | "
        f"{percent(row['accuracy after'])} | {text.signed(100 * row['accuracy change'])} "
        f"{text.change_interval(row['accuracy change low'], row['accuracy change high'])} | "
        f"{p_value(row['p']).removeprefix('= ')} |"
        for _, row in table.sort_values("accuracy change", kind="stable").iterrows()
    )


def three_times_cheaper(
    classifier: Classifier, calibration: Dataset, data: Dataset
) -> dict[str, Any]:
    """What the page says of heads and neurons together, and of what one would ship."""
    start, full, geometry = evaluate(classifier, data), classifier.full_mask(), classifier.geometry
    lengths = classifier.encode(data).lengths
    targets = [Target("flops", 1 / reduction) for reduction in FAMILY]
    found = {
        one: evaluated(classifier, data, one) for one in narrow_to(classifier, calibration, targets)
    }
    chosen = next(one for one in found if one.target == Target("flops", 1 / SHIPPED))
    after = found[chosen]
    kinds = groupings(data, classifier.task, lengths)["tag"]
    table = slice_table(kinds, start, after)
    certain = table[table["p"] < 0.05]["slice"].tolist()
    rivals = {}
    for name in TO_TARGET:
        rivals[name] = after
        if name != chosen.method:
            (one,) = narrow_to(classifier, calibration, [chosen.target], name)
            rivals[name] = evaluated(classifier, data, one)
    with tempfile.TemporaryDirectory() as folder:
        scheme = chosen.on(Scheme.of(classifier, name="third"))
        assert chosen.weights is not None
        chosen.weights.save(folder)
        exported = export_model(
            classifier, scheme, f"{folder}/smaller", dataset=data, weights=folder
        )
    flops = [flops_per_sentence(geometry, mask, lengths) for mask in (full, chosen.mask)]
    headless = full.without(full)
    rest = flops_per_sentence(geometry, headless, lengths) / flops[0]
    return {
        "heads_bound": f"{speed_bound(geometry, headless, lengths):.2f}",
        "heads_share": f"{percent(1 - rest)}",
        "family": family_rows(classifier, start, found),
        "widths": "\n".join(
            f"| {layer} | {heads} of {full.heads} | {neurons:,} of {geometry.intermediate_size:,} |"
            for layer, (heads, neurons) in enumerate(
                zip(chosen.mask.kept_per_layer, neurons_kept(geometry, chosen.mask), strict=True)
            )
        ),
        "kinds": len(table),
        "slices": slice_rows(table),
        "verdict": (
            f"Beyond chance, it costs {text.listed(certain)}."
            if certain
            else "No kind loses beyond chance, which with so few sentences each is no promise that "
            "none loses."
        ),
        "rivals": "\n".join(
            f"| {TO_TARGET[name].title} | {right(one)} | {points(start, one)} |"
            for name, one in rivals.items()
        ),
        "third": (
            f"{chosen.mask.kept_count} of {full.kept_count} heads and "
            f"{sum(neurons_kept(geometry, chosen.mask)):,} of "
            f"{geometry.layers * geometry.intermediate_size:,} neurons, "
            f"{text.big(parameters(geometry, chosen.mask))} parameters instead of "
            f"{text.big(geometry.parameters)}, {text.relative_change(*flops)} FLOPs a sentence, at "
            f"most {flops[0] / flops[1]:.2f} times as fast, and {right(after)} instead of "
            f"{right(start)}."
        ),
        "difference": f"{exported.difference:.0e}",
    }


def area_rows(found: list[Curve]) -> str:
    return "\n".join(
        f"| {METHODS[row.method].title} | "
        f"{'nothing' if row.recovery == 'none' else 'compensation'} | {text.percent(row.area)}% |"
        for row in areas(found).itertuples()
        if row.method != "random"
    )


def main() -> None:
    os.environ["BHPVAS_CACHE"] = str(KEPT)
    classifier, splits = load_classifier(), sample_splits()
    calibration = splits.calibration.aligned(classifier.label_names)
    data = splits.evaluation.aligned(classifier.label_names)
    full, start = classifier.full_mask(), evaluate(classifier, data)
    total = full.layers * full.heads

    proposal = propose(classifier, calibration, DEFAULT_METHOD, heads=total, max_drop=MAY_LOSE)
    going = proposal.heads[:-2]
    mask = full.without(going)
    began = time.perf_counter()
    recover(classifier, calibration, mask)
    seconds = time.perf_counter() - began
    fitted, recovered = compensated(classifier, calibration, data, mask)
    masked = evaluate(classifier, data, mask)
    rival = propose(classifier, calibration, "importance", heads=len(going)).mask
    by_importance = evaluate(classifier, data, rival)
    test, pair = mcnemar(start, recovered), mcnemar(by_importance, recovered)
    found = curves(classifier, calibration, data)
    chance = [curve for curve in found if curve.method == "random"]
    lengths, geometry = classifier.encode(data).lengths, classifier.geometry
    flops = [flops_per_sentence(geometry, one, lengths) for one in (full, mask)]
    removals = proposal.removals
    command = {"again": "The same from the command line:", "arguments": f"--heads {len(going)}"}
    if not METHOD.nested:  # then a shorter proposal need not be the beginning of a longer one
        command = {
            "again": "From the command line, without what was changed by hand:",
            "arguments": f"--heads {total} --max-drop {MAY_LOSE}",
        }
    page = TEXT.format(
        calibration=len(calibration),
        n=start.n,
        start=right(start),
        method=METHOD.title,
        sizes=size_rows(found),
        may_lose=text.plural(round(100 * MAY_LOSE), "point"),
        count=len(removals),
        reasons="\n".join(
            f"{place}. **{removal.head}**: {removal.reason}"
            for place, removal in enumerate(removals, 1)
            if place <= 3 or place > len(removals) - 3
        ),
        spared=" and ".join(str(head) for head in proposal.heads[-2:]),
        left=len(going),
        seconds=f"{seconds:.1f} seconds",
        sentences=fitted.sentences,
        layers="\n".join(
            f"| {one.layer} | {mask.kept_per_layer[one.layer]} | {one.error_before:.3f} | "
            f"{one.error_after:.3f} |"
            for one in fitted.layers
        ),
        masked=right(masked),
        compensated=right(recovered),
        change=points(start, recovered),
        flipped=len(flips(start, recovered)),
        lost=test.lost,
        gained=test.gained,
        p=p_value(test.p),
        by_importance=right(by_importance),
        difference=points(by_importance, recovered),
        rescued=pair.gained,
        missed=pair.lost,
        p_pair=p_value(pair.p),
        every=EVERY,
        areas=area_rows(found),
        random=RANDOM,
        random_area=f"{text.percent(float(np.mean([curve.area for curve in chance])))}%",
        shipped=(
            f"{mask.kept_count} of {total} heads, {text.big(parameters(geometry, mask))} "
            f"parameters instead of {text.big(geometry.parameters)}, "
            f"{text.relative_change(*flops)} FLOPs a sentence, at most "
            f"{speed_bound(geometry, mask, lengths):.2f} times as fast, "
            f"and {right(recovered)} instead of {right(start)}."
        ),
        **command,
        **three_times_cheaper(classifier, calibration, data),
    )
    (ROOT / "docs" / "case-study-schemes.md").write_text(page, encoding="utf-8")
    print(page)
    pictures(len(removals), proposal.heads[-2:])


def pictures(count: int, spared: Sequence[HeadId]) -> None:
    """The pages as they show the walk."""
    folder = ROOT / "docs" / "images"
    with (
        tempfile.TemporaryDirectory() as home,  # no work of earlier days is offered
        serving({"BHPVAS_HOME": home}) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        app = Workbench(page, address)
        app.open()
        app.settle()
        app.go("Schemes", ".st-key-view")
        app.view("Propose")
        app.propose(METHOD.title, count)
        for head in spared:
            app.click_head(head.layer, head.head, "proposal-map")
        page.mouse.move(0, 0)
        app.settle()
        page.screenshot(path=folder / "case-propose.png")
        app.press("Take as a step")
        page.get_by_role("button", name="Compensation of").click()
        app.settle()
        app.press("Undo")
        app.press("Undo")
        app.propose(METHODS["importance"].title, count - len(spared))
        app.press("Take as a step")
        app.view("Compare")
        page.screenshot(path=folder / "case-compare.png")
        app.view("Evidence")
        page.get_by_label("A point every").fill(str(EVERY))
        page.keyboard.press("Enter")
        app.settle()
        page.get_by_role("button", name="Measure", exact=True).click()
        page.get_by_text(f"{RANDOM} random orders, not recovered").wait_for(timeout=3_600_000)
        app.settle()
        page.screenshot(path=folder / "case-evidence.png")
        app.view("Propose")
        page.locator(".st-key-how-small").get_by_text("FLOPs", exact=True).click()
        app.settle()
        page.locator(".st-key-target-flops").get_by_text(f"÷ {SHIPPED}", exact=True).click()
        app.settle()
        page.locator(".st-key-narrow").get_by_role("button").click()
        page.locator(".st-key-family-map .main-svg").first.wait_for(timeout=3_600_000)
        app.settle()
        page.screenshot(path=folder / "case-target.png")
        page.close()


if __name__ == "__main__":
    main()
