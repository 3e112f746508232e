"""What the forms of `tokexplore lens` are made of."""

from typing import NamedTuple

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.lab.lens import Lens
from tokexplore.models.tokens import Vocabulary


class Looked(NamedTuple):
    """A step that was looked at, and where it comes from."""

    lens: Lens
    names: list[str]
    """Of the candidates, safe text."""
    raw: list[bytes]
    """The exact bytes of each."""
    info: ModelInfo | None = None
    """None of words without a model, as the two that follow."""
    vocabulary: Vocabulary | None = None
    ids: tuple[int, ...] = ()
    """The path before the step."""
    taken: int | None = None
    """The token that the prompt goes on with."""
    notice: str = ""
    """What has to be said of all figures."""

    @property
    def after(self) -> str:
        """The text before the step on one line, safe."""
        if self.vocabulary is None:
            return ""
        return safe_text(self.vocabulary.text(self.ids).replace("\n", NEWLINE))

    @property
    def goes_on(self) -> str:
        """The token that the prompt goes on with, safe text; empty where the step is after it."""
        if self.vocabulary is None or self.taken is None:
            return ""
        return self.vocabulary.show(self.taken)
