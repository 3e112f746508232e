"""`tokexplore prob`: texts after a prompt, token by token and beside each other."""

import io
import json
import math
import os
import re
import signal
from collections.abc import Sequence
from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import LISTED, FirstCandidates

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Engine
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.randomness import path_key
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.prob import ProbOptions
from tokexplore.tui.cli.prob_report import write_probabilities
from tokexplore.tui.explore.options import AppOptions

PROMPT = PromptSpec(text="Once upon a time")
WITH_MODEL = LoadOptions(model="fake")


def written(
    *texts: str,
    form: str = "text",
    engine: Engine | None = None,
    prompt: PromptSpec | None = PROMPT,
    literal: bool = False,
) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out, errors = io.BytesIO(), io.StringIO()
    options = ProbOptions(AppOptions(load=WITH_MODEL, prompt=prompt), texts, literal, form)  # type: ignore[arg-type]
    made = engine or FakeEngine()
    assert write_probabilities(options, out, open_engine=lambda *_: made, errors=errors) == 0
    return out.getvalue().decode(), errors.getvalue()


def read(*texts: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(*texts, form="json", **more)[0])
    return found


def expected(prompt: Sequence[int], ids: Sequence[int]) -> list[float]:
    """Logprobs by the engine's own distributions, one token after the other."""
    engine, path, logprobs = FakeEngine(), list(prompt), []
    for token in ids:
        (standing,) = engine.standings(path, [token])
        logprobs.append(standing.logprob)
        path.append(token)
    return logprobs


def test_the_numbers_are_those_of_the_tokens() -> None:
    engine = FakeEngine()
    found = read(" there was a king", " there was a queen")
    assert found["prompt_ids"] == engine.encode("Once upon a time")
    for text in found["texts"]:
        ids = [token["id"] for token in text["tokens"]]
        assert ids == engine.encode(text["given"], continuation=True)
        known = expected(found["prompt_ids"], ids)
        assert [token["logprob"] for token in text["tokens"]] == pytest.approx(known, abs=1e-9)
        assert text["logprob"] == pytest.approx(math.fsum(known), abs=1e-9)
        assert text["probability"] == pytest.approx(math.exp(math.fsum(known)))
        assert text["mean_logprob"] == pytest.approx(math.fsum(known) / len(ids))
        assert text["perplexity"] == pytest.approx(math.exp(-text["mean_logprob"]))
    first, second = found["texts"]
    shared = len(first["tokens"]) - 1
    assert first["tokens"][:shared] == second["tokens"][:shared]
    assert max(first["from_best"], second["from_best"]) == 0.0
    gap = first["logprob"] - second["logprob"]
    assert first["from_best"] - second["from_best"] == pytest.approx(gap)


def test_the_tables_say_the_same_and_the_most_probable_is_first() -> None:
    texts = (" there was a king", " there", " a dragon and a king")
    found = read(*texts)["texts"]
    said, _ = written(*texts)
    lines = said.splitlines()
    for text in found:
        heading = lines.index(next(x for x in lines if x.startswith(f"“{shown(text['given'])}”,")))
        for token, line in zip(text["tokens"], lines[heading + 2 :], strict=False):
            assert line.split()[:2] == [token["text"], str(token["id"])]
            assert f"{token['logprob']:.4f}" in line
        total = lines[heading + 2 + len(text["tokens"])]
        assert f"{text['logprob']:.4f} nats = {text['logprob'] / math.log(2):.4f} bits" in total
    head = next(i for i, line in enumerate(lines) if line.startswith("text "))
    order = sorted(found, key=lambda text: -text["logprob"])
    for text, line in zip(order, lines[head + 1 :], strict=False):
        assert line.startswith(f"“{shown(text['given'])}”")
    best, second = order[:2]
    times = math.exp(best["logprob"] - second["logprob"])
    sentence = next(line for line in lines if " x as likely as " in line)
    said_times = float(re.search(r"is (\S+) x", sentence)[1])  # type: ignore[index]
    assert said_times == pytest.approx(times, rel=0.01)
    assert lines[-1].startswith("Whole texts are compared, whatever their number of tokens")


def shown(text: str) -> str:
    return text.replace(" ", "␣")


def test_one_text_is_compared_with_nothing() -> None:
    said, _ = written(" there")
    assert "as likely" not in said
    assert "to the best" not in said


def test_a_probability_that_no_float_holds_is_none_and_never_a_printed_zero() -> None:
    long = " dragon" * 60
    text = read(long)["texts"][0]
    assert text["logprob"] < -760
    assert text["probability"] is None
    said, _ = written(long)
    assert re.search(r"probability [1-9]\.\d\de-\d{3,}\n", said)


def test_what_the_model_holds_impossible_is_zero_and_no_ratio() -> None:
    engine = FakeEngine()
    path, king = tuple(engine.encode("Once upon a time")), engine.encode(" king", continuation=True)
    engine.planted[path] = {king[0]: -math.inf}
    text = read(" king", " there", engine=engine)["texts"][0]
    assert (text["logprob"], text["probability"], text["from_best"]) == (None, 0, None)
    said, _ = written(" king", " there", engine=engine)
    assert "-∞ nats = -∞ bits: probability 0\n" in said
    assert "perplexity ∞" in said
    assert "as likely" not in said


def test_json_lines_say_the_same() -> None:
    lines = [json.loads(x) for x in written(" king", " a", form="jsonl")[0].splitlines()]
    whole = read(" king", " a")
    assert lines[0] == {name: value for name, value in whole.items() if name != "texts"}
    assert lines[1:] == [{"type": "text", **text} for text in whole["texts"]]
    assert [line["type"] for line in lines] == ["prob", "text", "text"]
    assert list(lines[0]) == [
        "type", "model", "revision", "dtype", "device", "threads", "prompt_ids",
    ]  # fmt: skip
    assert list(lines[1]) == [
        "type", "given", "literal", "logprob", "probability", "from_best", "mean_logprob",
        "perplexity", "tokens",
    ]  # fmt: skip
    assert list(lines[1]["tokens"][0]) == ["id", "text", "bytes", "logprob", "rank"]


def test_in_a_chat_they_are_what_the_assistant_says() -> None:
    engine, chat = FakeEngine(), Chat((Message("user", "who"),), prefill=" a")
    found = read(" king", prompt=PromptSpec(chat=chat))
    assert found["prompt_ids"] == list(engine.render(chat).ids)
    (token,) = found["texts"][0]["tokens"]
    assert [token["logprob"]] == pytest.approx(expected(found["prompt_ids"], [token["id"]]))


@pytest.mark.parametrize(("literal", "tokens"), [(False, 1), (True, 4)])
def test_names_of_tokens_are_tokens_or_characters(literal: bool, tokens: int) -> None:
    text = read("</s>", literal=literal)["texts"][0]
    assert text["literal"] == literal
    assert len(text["tokens"]) == tokens
    assert b"".join(bytes.fromhex(t["bytes"]) for t in text["tokens"]) == b"</s>"


def test_a_character_across_tokens_keeps_its_bytes() -> None:
    tokens = read("é你")["texts"][0]["tokens"]
    assert b"".join(bytes.fromhex(t["bytes"]) for t in tokens) == "é你".encode()
    assert len(tokens) > 2


def test_a_byte_order_mark_is_no_part_of_a_text() -> None:
    plain, _ = written(" king")
    marked, said = written("\ufeff king")
    assert marked == plain
    assert "byte order mark" in said


def test_where_one_piece_would_be_other_tokens_it_is_said() -> None:
    assert written(" king")[1] == ""
    _, said = written("king", prompt=PromptSpec(text="Once upon a "))
    assert "in one piece are 5 tokens, others than the" in said


class Counted(FakeEngine):
    """Counts the paths that are scored, by the position that they are scored from."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[int] = []

    def score(self, ids: Any, start: int, control: Any) -> Any:
        self.starts.append(start)
        return super().score(ids, start, control)


def test_the_prompt_is_computed_once() -> None:
    engine = Counted()
    found = read(" king", " a", " there", engine=engine)
    assert engine.starts == [len(found["prompt_ids"])] * 3


class Interrupted(FakeEngine):
    """Ctrl-C comes while the first text is scored."""

    def score(self, ids: Any, start: int, control: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return super().score(ids, start, control)


def test_an_interrupted_command_says_nothing_of_half_of_the_texts() -> None:
    out, errors, engine = io.BytesIO(), io.StringIO(), Interrupted()
    options = ProbOptions(AppOptions(load=WITH_MODEL, prompt=PROMPT), (" king", " a"))
    code = write_probabilities(options, out, open_engine=lambda *_: engine, errors=errors)
    assert (code, out.getvalue()) == (130, b"")


def test_ranks_that_the_engine_does_not_tell_are_not_guessed() -> None:
    engine = FirstCandidates(abilities={"prompt_scores": True, "forced_tokens": True})
    path = engine.encode("Once upon a time")
    order = FakeEngine().rows(path, 0, 300)
    ids, ranks = memoryview(order.ids).cast("I"), range(1, 301)
    names = {int(token): rank for token, rank in zip(ids, ranks, strict=True)}
    texts = [engine.vocabulary.bytes_of(token) for token in names]
    words = [w.decode() for w in texts if w.startswith(b" ") and w.isascii() and len(w) > 2]
    near, far = words[0], words[-1]
    first, last = read(near, far, engine=engine)["texts"]
    assert first["tokens"][0]["rank"] == names[first["tokens"][0]["id"]] <= LISTED
    assert names[last["tokens"][0]["id"]] > LISTED
    assert last["tokens"][0]["rank"] is None
    assert last["logprob"] is not None
    said, _ = written(far, engine=engine)
    assert said.splitlines()[4].endswith(" ?")


def test_an_engine_without_scores_of_given_tokens_is_refused() -> None:
    engine = FirstCandidates()
    with pytest.raises(UsageError, match=r"gives no logprobs of tokens .*: prob needs them"):
        written(" king", engine=engine)
    assert engine.asked == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "prob needs a text to look at: give one or several with --text TEXT."),
        (("--text", " a", "--text", ""), "--text '' is empty: give a text of at least"),
        (("--text", " king" * 1_030), "tokens long and the context of fake is 1,024: shorten one"),
        (("--text", " a", "--prompt-file", "/none"), "both --prompt and --prompt-file are given"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("tokexplore.tui.cli.prob.locate", lambda *_: None)
    command = ["prob", "fake", "--prompt", "Once upon", *arguments]
    assert dispatch.main(command, open_engine=lambda *_: FakeEngine()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tokexplore: ")
    assert said in line
    assert len(line) < 300


def test_a_model_without_a_prompt_asks_for_one() -> None:
    with pytest.raises(UsageError, match="fake needs a prompt for the texts to follow"):
        written(" a", prompt=None)


def test_the_fake_s_distribution_depends_on_the_whole_path() -> None:
    """Else a text whose later tokens were scored after the prompt alone would pass here."""
    assert path_key(0, (1, 2)) != path_key(0, (2, 2))
    first = read(" a king")["texts"][0]["tokens"][1]["logprob"]
    assert first != read(" king")["texts"][0]["tokens"][0]["logprob"]
