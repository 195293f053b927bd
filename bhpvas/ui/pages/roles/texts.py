"""Definitions of the views of Roles: what each shows, its source, and when it misleads."""

from __future__ import annotations

from bhpvas.ui.widgets.help import HelpText

ROLES = HelpText(
    definition="A role is a claim that beat its rival on the calibration split, by a sign test "
    "over sentences that is corrected for all heads tried. A head that has several is labelled by "
    "the first of the list. Most heads need not have any.",
    source="Clark et al. 2019; Voita et al. 2019, Analyzing Multi-Head Self-Attention",
    misleads="A head without a role may still matter, and one with a clear role may be idle: what "
    "a head looks at is not yet what it does. The roles are those of the unpruned model.",
)
RELATIONS = HelpText(
    definition="For each word that depends on another (its head, as grammar calls it: a word, not "
    "an attention head): is that other word the one that it attends to most (dependent to head), "
    "or the one that attends to it most (head to dependent)? Among words alone, no word itself. "
    "The rival always answers the word at the best fixed offset from the dependent; colour is the "
    "difference in points. A dot marks a role. Relations have the names that the parser has for "
    "them: ClearNLP's in English, those of Universal Dependencies in most other languages.",
    source="Clark et al. 2019, section 4.2, with the baseline of table 1",
    misleads="The best of many heads looks good by chance: trust the dots. Relations with few "
    "dependents are not judged, and the parser makes mistakes of its own. Of text in another "
    "language than its own it makes nothing else.",
)
ROLE_CHANGES = HelpText(
    definition="Who carries each role in the unpruned model, and which of these heads the scheme "
    "keeps. Measured anew, roles that other heads have taken over, or lost, are seen as well.",
    source="Own view, after Voita et al. 2019, section 6",
    misleads="A role that nobody carries any more is no loss by itself: the accuracy says what it "
    "was worth. Where heads below are gone, those above see other words and can change.",
)
