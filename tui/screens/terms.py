"""`=`: the words, signs and figures of the screen in front, each in a sentence."""

from textual.content import Content

from tokexplore.tui.keymap import Rebinding
from tokexplore.tui.presenters.terms import TERMS, Term, terms_in
from tokexplore.tui.screens.search_sheet import SearchSheet, SheetLine

_NAMES = 24
"""Cells of the column of names."""


class TermsSheet(SearchSheet):
    """The terms that a screen shows; a search finds those of other screens too."""

    placeholder = "words to search for, or a sign: / before one that is a key here"


def terms_sheet(shown: str, own: Rebinding) -> TermsSheet:
    """The terms in what a screen shows, with the user's own keys."""
    here = terms_in(shown)
    elsewhere = {
        f"{place}, elsewhere": [term for term in terms if term not in here.get(place, ())]
        for place, terms in TERMS.items()
    }
    sections, found = (
        {place: [term_line(term, own) for term in terms] for place, terms in each.items()}
        for each in (here, elsewhere)
    )
    return TermsSheet("What is on this screen", sections, found)


def term_line(term: Term, own: Rebinding) -> SheetLine:
    """A term with its sentence."""
    name = Content.styled(f"  {term.name} ", "$text")
    return SheetLine(name, _NAMES, own.words(term.meaning), (term.name,))
