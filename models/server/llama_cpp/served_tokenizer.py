"""A server's own tokenizer, for the code that reads and writes text through transformers' class."""

from typing import Any

from transformers import AddedToken, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import BatchEncoding

from tokexplore.models.server.wire.http import Http
from tokexplore.models.tokens import Vocabulary


class ServedTokenizer(PreTrainedTokenizerBase):
    """llama.cpp's `/tokenize` and its chat template.

    A name of a token in a text is read as that token, or as its characters where
    `split_special_tokens` is true.

    Args:
        vocabulary: of the model, whole.
        properties: what the server's `/props` says of the template and its tokens.
    """

    def __init__(self, http: Http, vocabulary: Vocabulary, properties: dict[str, Any]) -> None:
        named = {
            name: str(properties[name])
            for name in ("bos_token", "eos_token")
            if properties.get(name)
        }
        super().__init__(chat_template=properties.get("chat_template") or None, **named)
        self._http = http
        self._names = {
            vocabulary.bytes_of(token).decode("utf-8", "replace"): token
            for token in sorted(vocabulary.special)
            if vocabulary.bytes_of(token)
        }

    def __call__(
        self,
        text: str,
        *,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
        **_: object,
    ) -> BatchEncoding:
        """The ids of a text as the server makes them.

        Raises:
            ServerError: it does not answer.
        """
        body = {
            "content": text,
            "add_special": add_special_tokens,
            "parse_special": not split_special_tokens,
        }
        tokens = self._http.post("/tokenize", body).get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise self._http.unreadable("has no tokens of the text")
        return BatchEncoding({"input_ids": tokens})

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The control tokens by name."""
        return dict(self._names)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The control tokens by id."""
        return {token: AddedToken(name, special=True) for name, token in self._names.items()}

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a control token's name."""
        if isinstance(tokens, str):
            return self._names.get(tokens)
        return [self._names.get(token) for token in tokens]

    @property
    def is_fast(self) -> bool:
        """It tells no offsets."""
        return False
