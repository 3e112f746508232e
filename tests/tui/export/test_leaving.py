"""Exports say where each branch hangs, under which settings it was made, and figures of what they
hold."""

import re

import msgspec
import pytest
from support.exports import source_of, written
from support.sessions import PROVENANCE, SETTINGS

from tokexplore.models.api.chat import Chat, ChatPart, Message
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Origin, Prompted
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.export.source import Scope, Source

GREEDY = SamplingSettings(temperature=0.0)
ROLE = "<b>user"


def taken(tree: TokenTree, node: int, origin: Origin, *tokens: int, logprob: float = -1.0) -> int:
    known = {} if origin == "prompt" else {"logprob": logprob, "rank": 2}
    settings = tree.configure(SETTINGS if origin == "sampled" else GREEDY)
    for token in tokens:
        node = tree.take(node, token, origin, settings=settings, **known)
    return node


def chat() -> Source:
    """A prompt that is answered, and branches that leave it in its template, inside of its user's
    turn (picked there, edited there), in the answer, and after its next turn; one of its own."""
    tree = TokenTree()
    tree.load(PROVENANCE)
    prompt = taken(tree, ROOT, "prompt", 30, 31, 32, 33, 34)
    parts = (
        ChatPart(1, -1, "", "template"), ChatPart(3, 0, ROLE, "content"),
        ChatPart(1, 1, "assistant", "template"),
    )  # fmt: skip
    asked = Chat((Message(ROLE, "x"),))
    tree.append(Prompted(prompt, "chat", asked, parts))
    answer = taken(tree, prompt, "greedy", 40, 41, 42)
    taken(tree, tree.path(prompt)[2], "picked", 50)
    edited = taken(tree, tree.path(prompt)[1], "prompt", 60, 61)
    tree.append(Prompted(edited, "chat", asked, (parts[0], ChatPart(3, 0, ROLE, "content"))))
    taken(tree, edited, "sampled", 62, logprob=-2.0)
    taken(tree, tree.path(answer)[5], "sampled", 70, logprob=-4.0)
    taken(tree, ROOT, "prompt", 80)
    taken(tree, tree.path(prompt)[3], "prompt", 90)
    return source_of(tree, edited)


def headings(source: Source, scope: Scope = "all") -> list[str]:
    text = re.sub(r"\\(.)", r"\1", written(source, "markdown", scope).decode())
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def test_headings_say_where_a_branch_hangs() -> None:
    where = "position 3, in the <b>user's turn, by"
    assert headings(chat()) == [
        "Branch 1: a prompt, mean logprob -1.000 a token",
        f"Branch 2: leaves branch 1 at {where} ␣w50, mean logprob -1.000 a token",
        "Branch 3: a prompt that leaves branch 1 at position 2, in the <b>user's turn, by ␣w60, "
        "mean logprob -2.000 a token",
        "Branch 4: leaves branch 1 at step 2 by ␣w70, mean logprob -4.000 a token",
        "Branch 5: a prompt",
        "Branch 6: a prompt that leaves branch 1 at position 4, in the assistant's turn, by ␣w90",
    ]


def test_a_prompt_that_is_no_chat_is_the_prompt() -> None:
    tree = TokenTree()
    tree.load(PROVENANCE)
    taken(tree, taken(tree, ROOT, "prompt", 30, 31), "greedy", 32)
    taken(tree, tree.path(2)[0], "picked", 50)
    assert headings(source_of(tree))[1].startswith(
        "Branch 2: leaves branch 1 at position 1, in the prompt, by ␣w50"
    )


def test_pages_and_graphs_say_it_too() -> None:
    page = written(chat(), "html").decode()
    assert "leaves 1 at position 3, in the &lt;b&gt;user's turn, <code>␣w50" in page.replace(
        "&#x27;", "'"
    )
    assert "<span>@2 <code>␣w70" in page
    assert "@1 <code>" not in page
    graph = written(chat(), "dot").decode()
    assert 'b1 -> b2 [label="position 3, in the <b>user\'s turn, ␣w50 36.8%"]' in graph
    assert 'b1 -> b4 [label="@2 ␣w70 1.8%"]' in graph


def test_figures_of_a_path_are_of_the_tokens_that_it_holds() -> None:
    source = chat()
    assert headings(source, "path") == [
        "Branch 1: a prompt",
        "Branch 3: a prompt that leaves branch 1 at position 2, in the <b>user's turn, by ␣w60",
    ]
    answered = source._replace(leaf=source.tree.branch(4).tip)
    assert headings(answered, "path")[0] == "Branch 1: a prompt, mean logprob -1.000 a token"
    assert "w42" in written(answered, "dot").decode()
    assert "w42" not in written(answered, "dot", "path").decode()


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_settings_are_told_by_branch(form: str) -> None:
    def said(source: Source, scope: Scope) -> str:
        text = re.sub(r"\\(.)", r"\1", written(source, form, scope).decode())
        found = re.search(
            r"- sampling: (.*)" if form == "markdown" else r" on cpu · (.*) · \d+ tokens<", text
        )
        assert found is not None
        return found[1]

    source = chat()
    assert said(source, "all") == "greedy in branch 1; T .80 p .75 seed 7 in branches 3-4"
    assert said(source, "path") == "nothing was generated"
    other = source._replace(
        leaf=source.tree.branch(3).tip, settings=msgspec.structs.replace(SETTINGS, seed=9)
    )
    assert said(other, "path") == "T .80 p .75 seed 7"
