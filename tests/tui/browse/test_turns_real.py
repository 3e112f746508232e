"""A chat of several turns on the embedded model: its tokens are those of its chat template, and its
numbers those of one plain forward pass over each path."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from support.app import make_app, press, settle, until
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.conversation import conversation, spoken
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.chat_form import ChatForm
from tokexplore.tui.screens.draft import Draft

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
TOLERANCE = 1e-4
"""Nats: a path is computed in pieces on top of caches, which sums in another order."""
LENGTH = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with a chat template."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(EMBEDDED_DIRECTORY, folder)
    config = folder / "tokenizer_config.json"
    known = json.loads(config.read_text())
    config.write_text(json.dumps(known | {"chat_template": TEMPLATE}))
    return folder


def check(app: TokexploreApp, words: PreTrainedTokenizerBase, reference: torch.nn.Module) -> None:
    """The path in view is what the template makes of what is said on it, and so are its numbers."""
    explorer, tree = app.controller.explorer, app.controller.explorer.tree
    chat = spoken(explorer.path)
    assert chat is not None
    turns = [{"role": m.role, "content": m.content} for m in chat.messages]
    rendered = words.apply_chat_template(turns, continue_final_message=True)["input_ids"]
    ids = list(explorer.ids())
    assert ids == rendered[: len(ids)] or ids[:-1] == rendered, "the model may have ended its turn"
    for turn, message in zip(
        [t for t in conversation(explorer.path) if t.role], chat.messages, strict=True
    ):
        spans = [ids[one.start : one.stop] for one in turn.words]
        said = words.decode([i for span in spans for i in span], skip_special_tokens=True)
        assert said.strip() == message.content.strip()
    with torch.inference_mode():
        logprobs = reference(torch.tensor([ids])).logits[0].double().log_softmax(-1)  # [n, V]
    scored = [(n, node) for n, node in enumerate(explorer.nodes) if n and tree.is_scored(node)]
    assert len(scored) == len(ids) - 1
    for position, node in scored:
        known = logprobs[position - 1, ids[position]].item()
        assert tree.logprob[node] == pytest.approx(known, abs=TOLERANCE)


async def test_four_turns_an_edited_one_a_prefill_and_an_answer_generated_again(
    model: Path,
) -> None:
    words = AutoTokenizer.from_pretrained(model)
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    engine = LocalEngine.open(LoadOptions(str(model), device="cpu"), lambda _: None)
    options = AppOptions(
        prompt=PromptSpec(chat=Chat((Message("user", "Who came to the king?"),), "It was a")),
        max_new_tokens=LENGTH,
        settings=SamplingSettings(temperature=0.8, top_p=0.9, seed=7),
        load=LoadOptions(str(model)),
    )
    app = make_app(options=options, engine=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        explorer, tree = app.controller.explorer, app.controller.explorer.tree

        async def rests(branches: int) -> None:
            await until(
                pilot,
                lambda: (
                    len(tree.branches) == branches
                    and explorer.leaf in tree.ended
                    and not app.controller.busy
                ),
            )
            check(app, words, reference)

        await rests(1)
        for text in ("And what did he say?", "Why?", "Who heard it?"):
            await press(pilot, "T")
            before = explorer.leaf
            app.screen.query_one(Draft).load_text(text)
            await pilot.press("enter")
            await until(pilot, lambda: explorer.leaf != before)  # noqa: B023
            await rests(1)
        whole = list(explorer.nodes)
        assert len(conversation(explorer.path)) == 8

        await press(pilot, "p")
        form = app.screen.query_one("#chat", ChatForm)
        form.turns[3].load_text("And what did she say?")
        form.query_one("#prefill", Draft).load_text("She said")
        await settle(pilot)
        await pilot.press("enter")
        await rests(2)
        chat = spoken(explorer.path)
        assert chat is not None
        assert [m.content for m in chat.messages][2] == "And what did she say?"
        assert chat.messages[3].content.startswith("She said")
        first_answer = next(t for t in conversation(explorer.path) if t.message == 1)
        shared = first_answer.words[-1].stop
        assert explorer.nodes[:shared] == whole[:shared]

        edited = list(explorer.nodes)
        prompt = explorer.prompt_length
        await press(pilot, "R")
        await until(pilot, lambda: not app.controller.busy)
        assert explorer.nodes != edited
        await rests(3)
        assert explorer.nodes[:prompt] == edited[:prompt]
        assert tree.path(edited[-1]) == edited
        assert tree.path(whole[-1]) == whole
