"""What a term of the screens is."""

import re
from typing import NamedTuple


class Term(NamedTuple):
    """Something on the screen that not everybody knows."""

    name: str
    """As the screen has it."""
    seen: str
    """A regular expression that finds it in a line of the screen."""
    meaning: str
    """A sentence, with unit and formula of a figure, and keys as `Rebinding.words` has them."""

    def is_in(self, text: str) -> bool:
        """Whether a text of the screen has it."""
        return re.search(self.seen, text, re.MULTILINE) is not None
