"""What a prompt begins with: the token that is put in front of every text, and its name."""

from collections.abc import Sequence

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.tokens import Vocabulary


def begun_by_text(
    text: str, ids: Sequence[int], info: ModelInfo, vocabulary: Vocabulary, *, literal: bool
) -> str:
    """A notice where a prompt begins with the name of the token that is put in front of prompts."""
    if literal or not info.adds_bos or info.bos_id is None or info.bos_id not in ids[:1]:
        return ""
    name = vocabulary.bytes_of(info.bos_id).decode()
    if not text.startswith(name):
        return ""
    return (
        f"the text begins with {name}, the token that is put in front of every text: it is not put "
        "there again (--literal reads it as its characters)"
    )
