"""Texts of numbers, names and lists, one way everywhere: unit, sign, interval; escaping.

Minus is the minus sign (U+2212), a range is an en dash, an interval of a change has an ellipsis.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from bhpvas.heads import HeadId, HeadMask

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
ARROW = "\N{RIGHTWARDS ARROW}"
CROSS = "\N{MULTIPLICATION SIGN}"
NOTHING = "\N{EM DASH}"
# What begins some markup anywhere in a line (an underline within a word does not), and what does
# so at its beginning.
_MARKS = re.compile(r"[\\`*\[\]<$~&]|:(?=\w)|(?<![^\W_])_|_(?![^\W_])")
_FIRST_MARKS = re.compile(r"^(\d*)([-+#>.)])")


def number(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits; a dash where there is no value.

    >>> number(0.021449), number(-3.0), number(float("nan")), number(0.00000123)
    ('0.0214', '−3.00', '—', '1.23e−6')
    """
    if math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent >= 7:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(power)}"
    else:
        text = f"{value:,.{max(digits - 1 - exponent, 0)}f}"
    return text.replace("-", MINUS)


def nats(value: float) -> str:
    """A divergence with 4 decimals, or 2 significant digits where those would show none of it.

    >>> nats(0.0145), nats(0.0000312), nats(0.0)
    ('0.0145', '3.1e−5', '0')
    """
    shown = f"{value:.4f}"
    return shown if float(shown) > 0 else number(value, 2)


def signed(value: float, digits: int = 1) -> str:
    """``value`` with a sign and ``digits`` decimals; a zero after rounding has no sign.

    >>> signed(-0.62), signed(0.249, 2), signed(-0.01)
    ('−0.6', '+0.25', '0.0')
    """
    if math.isnan(value):
        return NOTHING
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as percent without the unit: ``0.914`` is ``91.4``.

    >>> percent(0.91372), percent(-0.00001)
    ('91.4', '0.0')
    """
    return NOTHING if math.isnan(share) else f"{100 * share:z.{digits}f}".replace("-", MINUS)


def interval(low: float, high: float) -> str:
    """An interval of two shares in percent.

    >>> interval(0.8901, 0.9371)
    '(89.0–93.7)'
    """
    return f"({percent(low)}{DASH}{percent(high)})"


def median(value: float, low: float, high: float, digits: int) -> str:
    """A median with its interval.

    >>> median(1.5, 1.25, 2, 2)
    '1.50 (1.25–2.00)'
    """
    return f"{value:z.{digits}f} ({low:z.{digits}f}{DASH}{high:z.{digits}f})"


def change_interval(low: float, high: float) -> str:
    """An interval of a change of shares, in points.

    >>> change_interval(-0.004, 0.001)
    '(−0.4 … +0.1)'
    """
    return f"({signed(100 * low)} {ELLIPSIS} {signed(100 * high)})"


def accuracy_change(before: float, after: float, sentences: int) -> str:
    """A change of accuracy with its sign, unit, base and sample size.

    >>> accuracy_change(0.92, 0.914, 480)
    '−0.6 points (92.0 → 91.4, 480 sentences)'
    """
    base = f"{percent(before)} {ARROW} {percent(after)}"
    return f"{signed(100 * (after - before))} points ({base}, {plural(sentences, 'sentence')})"


def relative_change(before: float, after: float) -> str:
    """A relative change in whole percent.

    >>> relative_change(200.0, 182.0), relative_change(1.0, 1.0)
    ('−9%', '0%')
    """
    return f"{signed(100 * (after / before - 1), 0)}%"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "head"), plural(480, "sentence"), plural(0, "class", "classes")
    ('1 head', '480 sentences', '0 classes')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def big(count: float) -> str:
    """A large count with three digits and its letter.

    >>> big(22_713_218), big(980), big(1.25e9)
    ('22.7M', '980', '1.25G')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= unit:
            scaled = count / unit
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{letter}"
    return f"{count:z.0f}"


def head_list(heads: Iterable[HeadId], at_most: int = 6) -> str:
    """Heads in order, the first few by name.

    >>> head_list([HeadId(1, 2), HeadId(0, 3)]), head_list([HeadId(0, h) for h in range(9)], 2)
    ('L0H3, L1H2', 'L0H0, L0H1 and 7 more')
    """
    names = [str(head) for head in sorted(heads)]
    if len(names) <= at_most:
        return ", ".join(names)
    return f"{', '.join(names[:at_most])} and {len(names) - at_most} more"


def heads_and_neurons(heads: int, neurons: int) -> str:
    """How many heads and how many feed-forward neurons, as far as there are any of these.

    >>> heads_and_neurons(2, 768), heads_and_neurons(1, 0), heads_and_neurons(0, 1)
    ('2 heads and 768 neurons', '1 head', '1 neuron')
    """
    counts = {"head": heads, "neuron": neurons}
    return " and ".join(plural(count, noun) for noun, count in counts.items() if count)


def kept(mask: HeadMask) -> str:
    """How many heads a mask keeps, and how many feed-forward neurons where some are removed.

    >>> from bhpvas.neurons import NeuronSet
    >>> kept(HeadMask.parse("L0H3", 6, 12))
    '71 of 72 heads'
    >>> kept(HeadMask(1, 4, neurons=NeuronSet.of_layers(1, 6, {0: [2, 5]})))
    '4 of 4 heads and 4 of 6 neurons'
    """
    said, neurons = f"{mask.kept_count} of {plural(mask.layers * mask.heads, 'head')}", mask.neurons
    if neurons is None:
        return said
    every = mask.layers * neurons.width
    return f"{said} and {every - len(neurons):,} of {plural(every, 'neuron')}"


def kept_briefly(mask: HeadMask) -> str:
    """What :func:`kept` says, without what was there before.

    >>> from bhpvas.neurons import NeuronSet
    >>> kept_briefly(HeadMask(1, 4, neurons=NeuronSet.of_layers(1, 6, {0: [2, 5]})))
    '4 heads, 4 neurons'
    """
    said, neurons = plural(mask.kept_count, "head"), mask.neurons
    if neurons is None:
        return said
    return f"{said}, {plural(mask.layers * neurons.width - len(neurons), 'neuron')}"


def p_value(value: float) -> str:
    """A p-value, never rounded to zero.

    >>> p_value(0.0421), p_value(0.00001), p_value(1.0)
    ('p = 0.042', 'p < 0.001', 'p = 1.000')
    """
    if math.isnan(value):
        return "p not defined"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names as a message lists them: on one line, and not more than a person reads.

    >>> listed(["text", "two\\nlines", "label"], most=2)
    'text, two lines, …'
    """
    short = [" ".join(name.split())[:50] for name in names]
    return ", ".join(short[:most] + ["…"] * (len(short) > most))


def literal(text: str) -> str:
    """Text of a person for a figure, which would take ``<b>`` in it for markup.

    >>> literal("<b>R&D</b>")
    '&lt;b&gt;R&amp;D&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def verbatim(text: str) -> str:
    """Text of a person, a file or a link for Markdown, which could fetch a picture by it.

    >>> print(verbatim("![a](https://b)  *c*"), verbatim("# d"), verbatim("1. e_f: __g__"))
    !\\[a\\](https://b) \\*c\\* \\# d 1\\. e_f: \\_\\_g\\_\\_
    """
    line = " ".join(text.split())  # a new line could begin a paragraph or a list
    return _FIRST_MARKS.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", line))


def shortened(text: str, longest: int) -> str:
    """Text of at most so many characters, with an ellipsis where some are left out.

    >>> shortened("ratings", 7), shortened("my-reviews", 7)
    ('ratings', 'my-rev…')
    """
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS


def seconds(value: float) -> str:
    """A time as a person says it.

    >>> seconds(0.4), seconds(12.4), seconds(200)
    ('under 1 s', '12 s', '3 min')
    """
    if value < 1:
        return "under 1 s"
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"


def ago(value: float) -> str:
    """How long ago something was, in seconds, as a person says it.

    >>> ago(20), ago(60), ago(3 * 3600), ago(2 * 86400)
    ('just now', '1 minute ago', '3 hours ago', '2 days ago')
    """
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if value >= size:
            return f"{plural(int(value // size), unit)} ago"
    return "just now"
