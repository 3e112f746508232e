"""The turns of a conversation as the transcript shows them."""

from tokexplore.models.display import counted, safe_text
from tokexplore.models.tree.conversation import Turn, TurnFigures, figures, own_system
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.widgets.cell_text import cut
from tokexplore.widgets.numbers import count, logprob_text
from tokexplore.widgets.transcript_sections import Section

SYSTEM_CELLS = 40
"""Cells of what the template has the system say, on the line that stands for it."""


def sections_of(explorer: Explorer, turns: list[Turn], *, bits: bool) -> list[Section]:
    """A section for each turn."""
    return [_section(explorer, turn, bits=bits) for turn in turns]


def _section(explorer: Explorer, turn: Turn, *, bits: bool) -> Section:
    def spans(kind: str) -> tuple[tuple[int, int], ...]:
        return tuple((one.start, one.stop) for one in turn.stretches if one.kind == kind)

    if not turn.role:
        # What the template writes before the first message is there to be seen, unfolded; what
        # it has the system say is there to be known.
        system = cut(safe_text(own_system(explorer.path, [turn])), SYSTEM_CELLS)
        return Section(
            turn.start,
            turn.stop,
            "template",
            (f"system: {system}",) if system else (),
            titled="always" if system else "whole",
            template=spans("template"),
        )
    known = figures(explorer.path, turn)
    words = figure_words(known, bits=bits) if known.tokens else []
    return Section(
        turn.start,
        turn.stop,
        turn.role,
        tuple(filter(None, (_silence(explorer, turn), *words))),
        foldable=known.given,
        template=spans("template"),
        reasoning=spans("reasoning"),
    )


def _silence(explorer: Explorer, turn: Turn) -> str:
    """That a turn that was given says nothing; empty where it says something, or is to come."""
    path = explorer.path
    if path.chat is None or not turn.message < len(path.chat.messages):
        return ""
    words = [index for one in turn.words for index in range(one.start, one.stop)]
    if any(path.pieces(index, index + 1)[0].strip() for index in words):
        return ""
    return "(blank)" if words else "(empty)"


def figure_words(known: TurnFigures, *, bits: bool) -> list[str]:
    """What is known of a turn, in words: how long it is, and how likely its words were."""
    words = [counted(known.tokens, "token")]
    if known.reasoning:
        words.append(f"{count(known.reasoning)} of them reasoning")
    if known.scored:
        unit = "bits" if bits else "nats"
        name, total = ("surprisal", -known.logprob) if known.given else ("logprob", known.logprob)
        total_text = logprob_text(total, bits=bits, digits=1)
        words.append(f"{_covered(known)}{name} {total_text} {unit}")
        mean = logprob_text(known.logprob / known.scored, bits=bits, digits=2)
        words.append(f"mean logprob {mean}")
    return words


def _covered(known: TurnFigures) -> str:
    """Which of a turn's words its figures are of, before them; empty where they are of all."""
    if known.scored == known.tokens:
        return ""
    if not known.generated or known.generated == known.tokens:
        return f"{count(known.scored)} scored: "
    if known.scored == known.generated:
        return f"{count(known.scored)} generated: "
    return f"{count(known.scored)} of {count(known.generated)} generated: "
