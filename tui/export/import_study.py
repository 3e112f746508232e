"""A line of an experiment of the lab, read again."""

from typing import Annotated

import msgspec

from tokexplore.models.tree.study import Number, Study


class StudyToken(msgspec.Struct):
    """A token that the ids of an experiment name."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]
    bytes: str


class StudyLine(Study, tag="study", frozen=True, kw_only=True):
    """An experiment, the node that it follows, and its tokens; what is made from it is left out."""

    node: Number
    tokens: tuple[StudyToken, ...] = ()

    def plain(self) -> Study:
        """The experiment alone."""
        return Study(*(getattr(self, name) for name in Study.__struct_fields__))
