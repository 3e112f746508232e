"""Conversations go out as messages and as JSON lines, and come in again as they were."""

import io
import json
from pathlib import Path

import pytest
from support import fake_vocabulary as fake
from support.fake_engine import FakeEngine
from support.sessions import PROVENANCE, SETTINGS, journal_of

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.errors import UsageError
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.reader import open_session
from tokexplore.models.session.writer import View
from tokexplore.models.tree.events import Prompted
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.common.message_file import read_conversation
from tokexplore.tui.export.formats import export
from tokexplore.tui.export.import_jsonl import Lines
from tokexplore.tui.export.source import Source

CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": "wolf"}}}
MESSAGES = [
    {
        "role": "system",
        "content": [{"type": "text", "text": "be"}, {"type": "text", "text": " so"}],
    },
    {"role": "user", "content": "who was he"},
    {"role": "assistant", "content": "a king", "reasoning_content": "hm", "tool_calls": [CALL]},
    {"role": "user", "content": "and she"},
]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A run on a conversation, kept as a session."""
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"messages": MESSAGES, "tools": [CALL]}))
    file = tmp_path / "a.tokx"
    asked = ["run", "--messages", str(given), "--session", str(file), "--max-new-tokens", "5"]
    assert dispatch.main(asked, open_engine=lambda *_: FakeEngine()) == 0
    return file


def test_messages_go_out_as_they_came_in_with_what_was_answered(kept: Path) -> None:
    out = kept.with_name("out.messages.json")
    assert dispatch.main(["export", str(kept), "-o", str(out)]) == 0
    told = json.loads(out.read_text())
    assert told["messages"][:-1] == MESSAGES
    assert told["tools"] == [CALL]
    assert told["messages"][-1]["role"] == "assistant"
    tree = open_session(kept, to_write=False).tree
    [prompt] = tree.prompts.values()
    assert prompt.chat is not None
    assert sum(part.tokens for part in prompt.parts) == tree.depth[prompt.node]
    again = read_conversation(str(out), out.read_text())
    assert tuple(again.messages[:-1]) == prompt.chat.messages
    assert again.messages[-1].content == told["messages"][-1]["content"]
    assert not again.unread


def test_json_lines_bring_a_conversation_back(kept: Path) -> None:
    lines = kept.with_name("out.jsonl")
    assert dispatch.main(["export", str(kept), "-o", str(lines)]) == 0
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    [prompt] = [line for line in told if line["type"] == "prompt"]
    assert prompt["chat"]["messages"][1]["content"] == "who was he"
    assert {part["kind"] for part in prompt["parts"]} == {"template", "content"}
    tree = TokenTree()
    leaf = Lines(lines.read_bytes().splitlines(keepends=True), "out.jsonl").make(tree).leaf
    kept_tree = open_session(kept, to_write=False).tree
    assert list(tree.prompts.values()) == list(kept_tree.prompts.values())
    assert tree.ids(leaf) == kept_tree.ids(len(kept_tree) - 1)


def test_parts_that_do_not_fit_are_refused(kept: Path) -> None:
    lines = kept.with_name("out.jsonl")
    assert dispatch.main(["export", str(kept), "-o", str(lines)]) == 0
    data = lines.read_bytes().replace(b'"tokens":', b'"tokens":9', 1)
    with pytest.raises(UsageError, match="longer than it"):
        Lines(data.splitlines(keepends=True), "out.jsonl").make(TokenTree())


def test_plain_text_has_no_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.tokx"
    asked = ["run", "--prompt", "Once", "--session", str(file), "--max-new-tokens", "2"]
    assert dispatch.main(asked, open_engine=lambda *_: FakeEngine()) == 0
    capsys.readouterr()
    out = tmp_path / "a.messages.json"
    assert dispatch.main(["export", str(file), "-o", str(out)]) == 2
    assert "is no chat" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_said_holds_no_control(tmp_path: Path) -> None:
    given, file, out = (tmp_path / name for name in ("a.json", "a.tokx", "a.messages.json"))
    hostile = "a\x1b[31m\x9b2J\u202e\x07"
    given.write_text(json.dumps([{"role": "user", "content": hostile}]))
    asked = ["run", "--messages", str(given), "--session", str(file), "--max-new-tokens", "2"]
    assert dispatch.main(asked, open_engine=lambda *_: FakeEngine()) == 0
    assert dispatch.main(["export", str(file), "-o", str(out)]) == 0
    text = out.read_text()
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert not set("\x9b\u202e") & set(text)
    assert json.loads(text)["messages"][0]["content"] == hostile


ASKED = Chat((Message("user", "who was he"),))


def went_on(*after: str) -> Source:
    """A chat that is answered, and what was generated after the end of that."""
    engine, tree = FakeEngine(), TokenTree()
    tree.load(PROVENANCE)
    rendered, leaf = engine.render(ASKED), ROOT
    for token in rendered.ids:
        leaf = tree.take(leaf, token, "prompt")
    tree.append(Prompted(leaf, "chat", ASKED, rendered.parts))
    for text in ("the king", *after):
        for token in fake.encode(text, literal=False):
            leaf = tree.take(leaf, token, "sampled", logprob=-1.0, rank=1)
    return Source(tree, fake.VOCABULARY, leaf, "x", SETTINGS)


def written(source: Source) -> tuple[list[dict[str, str]], str]:
    """The messages that are written, and what is said of them."""
    out = io.BytesIO()
    notice = export(source, "messages", "path", 0, out)
    return json.loads(out.getvalue())["messages"], notice


def test_what_goes_on_past_the_end_of_a_turn_is_not_told_as_plain_words() -> None:
    source = went_on("<|end|>", "<|user|>", "and she", "<|end|>")
    messages, notice = written(source)
    assert messages[-1] == {
        "role": "assistant", "content": "the king<|end|><|user|>and she"
    }  # fmt: skip
    assert notice == (
        "The text of message 2 (assistant) goes on past <|end|>: it is written as it stands, names "
        "of special tokens included."
    )
    again = Chat(tuple(Message(**message) for message in messages))
    engine = FakeEngine()
    assert list(engine.render(again).ids[:-1]) == source.tree.ids(source.leaf)


def test_what_ends_a_turn_is_no_word_of_it() -> None:
    assert written(went_on()) == ([*as_messages(), said("the king")], "")
    assert written(went_on("<|end|>")) == ([*as_messages(), said("the king")], "")
    messages, notice = written(went_on("<|end|>", "\n\n", "<|user|>"))
    assert messages[-1] == said("the king")
    assert notice == "<|end|>⏎⏎<|user|> at the end of message 2 (assistant) is left out."


def as_messages() -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in ASKED.messages]


def said(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def test_names_of_tokens_that_the_user_gave_are_no_end() -> None:
    engine, tree = FakeEngine(), TokenTree()
    chat = Chat((Message("user", "who<|end|>he"),), "he<|end|>was")
    rendered, leaf = engine.render(chat), ROOT
    for token in rendered.ids:
        leaf = tree.take(leaf, token, "prompt")
    tree.append(Prompted(leaf, "chat", chat, rendered.parts))
    messages, notice = written(Source(tree, fake.VOCABULARY, leaf, "x", SETTINGS))
    assert [message["content"] for message in messages] == ["who<|end|>he", "he<|end|>was"]
    assert notice == ""


def test_the_command_says_what_messages_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, file = went_on("<|end|>", "<|user|>", "and she"), tmp_path / "a.tokx"
    tree = TokenTree()
    journal = journal_of(tree, file)
    journal.vocabulary(fake.VOCABULARY)
    tree.load(PROVENANCE)
    for node in source.tree.path(source.leaf):
        tree.take(source.tree.parent[node], source.tree.token[node], source.tree.origin[node])
        if node in source.tree.prompts:
            tree.append(source.tree.prompts[node])
    journal.view(View(Summary("fake", len(tree) - 1, "who", 1.0), "{}"))
    assert journal.close("quit") == ""
    out = tmp_path / "a.messages.json"
    assert dispatch.main(["export", str(file), "-o", str(out)]) == 0
    assert "goes on past <|end|>" in capsys.readouterr().err
