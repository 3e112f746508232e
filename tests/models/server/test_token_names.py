"""A text is a token where exactly one has its bytes."""

from tokexplore.models.server.openai.token_names import TokenNames
from tokexplore.models.tokens import Vocabulary


def test_names_are_the_bytes_of_one_token_alone() -> None:
    tokens = [b"a", b" the", b"a", b"\xe2\x80", b" \xe2", "国".encode(), b"\xbd", b"\\xe2"]
    vocabulary = Vocabulary.pack([*tokens, b"</s>", b"bytes:\\xbd", b""], {8}, 11)
    names = TokenNames(vocabulary)
    known = {
        " the": 1, "bytes:\\xe2\\x80": 3, "bytes: \\xe2": 4, "bytes:\\xE2\\x80": 3, "国": 5,
        "</s>": 8, "\\xe2": 7,
    }  # fmt: skip
    assert {text: names.token(text) for text in known} == known
    # Several have it; none has it; not told which; a name and bytes; no bytes.
    for text in ("a", "the", "\ufffd", "bytes:\\xbd", "", "bytes:", "bytes:\\n", "\ud800"):
        assert names.token(text) is None
    assert names.begun([5, 3]) == b"\xe2\x80"
    assert names.begun([3, 4]) == b"\xe2"
    assert names.begun([5]) == names.begun([1]) == names.begun([6]) == names.begun([]) == b""
    assert names.token("国", b"\xe5\x9b") is None, "perhaps the last byte of it alone"
    assert names.token(" the", b"\xe5\x9b") == 1
