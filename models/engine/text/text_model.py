"""What reading and writing text needs to know of a model."""

from typing import Protocol

from transformers import PreTrainedTokenizerBase

from tokexplore.models.tokens import Vocabulary


class TextModel(Protocol):
    """A loaded model as far as text goes."""

    @property
    def name(self) -> str:
        """As it is called in messages."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """As transformers opened it."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Bytes of each token."""

    @property
    def rows(self) -> int:
        """Rows of the logits: larger ids cannot be fed."""

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text, where there is one."""

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Tokens that end a text."""

    @property
    def turn_ids(self) -> tuple[int, ...]:
        """Tokens that end the assistant's turn by the chat template and that `eos_ids` lacks."""
