"""Why a model said what it said, in words and tables."""

import math
from collections.abc import Iterable, Iterator

from tokexplore.models.api.interpreter import LogitSplit
from tokexplore.models.display import counted
from tokexplore.models.distribution import TokenRank
from tokexplore.tui.report.diff_text import model_words
from tokexplore.tui.report.repeat_text import one_line
from tokexplore.tui.report.why_layers_text import Order, layers_lines
from tokexplore.tui.report.why_lens_text import lens_lines
from tokexplore.tui.report.why_values import Asked, Lensed, Section, Worded
from tokexplore.tui.report.why_words_text import words_lines
from tokexplore.widgets.numbers import logprob_text, percent


def report(asked: Asked, sections: Iterable[Section], *, top: int, order: Order) -> Iterator[str]:
    """What is asked, and each view as soon as it is whole.

    Args:
        top: stretches in the list of the strongest.
        order: of the layers' parts.
    """
    yield from facts(asked)
    for section in sections:
        yield ""
        yield from _section(asked, section, top, order)


def facts(asked: Asked) -> Iterator[str]:
    """Which model, after what, which tokens."""
    yield model_words(asked.info)
    yield f"after “{one_line(asked.vocabulary, asked.ids)}” ({counted(len(asked.ids), 'token')})"
    more = ", the most probable one, as none was named" if asked.unnamed else ""
    yield f"token    {_standing(asked, asked.token)}{more}"
    if asked.against is not None:
        yield f"against  {_standing(asked, asked.against)}"
    elif asked.rival is not None:
        yield f"against  {_standing(asked, asked.rival)}, the most probable other one (layers)"


def _standing(asked: Asked, of: TokenRank) -> str:
    return (
        f"{asked.vocabulary.show(of.token)}: {percent(math.exp(of.logprob))}, logprob "
        f"{logprob_text(of.logprob)}, rank {of.rank:,}"
    )


def _section(asked: Asked, section: Section, top: int, order: Order) -> Iterator[str]:
    if section.view == "lens":
        lensed = Lensed()
        for finding in section.findings:
            lensed.add(finding, asked)
        yield from lens_lines(asked, lensed)
    elif section.view == "layers":
        for finding in section.findings:
            if isinstance(finding, LogitSplit):
                yield from layers_lines(asked, finding, order)
    else:
        worded = Worded()
        for finding in section.findings:
            worded.add(finding)
        yield from words_lines(asked, worded, top)
