"""`tokexplore diff` has two models read one text, and tells where they differ."""

import csv
import io
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support import fake_vocabulary
from support.contrast import contrast_of
from support.fake_engine import FakeEngine, planted_text
from support.first_candidates import FirstCandidates
from support.kept_lines import names
from textual.color import Color

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.api.options import Adapter, LoadOptions, PromptSpec, ServerOptions
from tokexplore.models.diff.along import along
from tokexplore.models.diff.steps import Step, totals
from tokexplore.models.diff.vocabularies import shared_tokens
from tokexplore.models.errors import ModelError, TokexploreError, UsageError
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.cli.diff import SUBCOMMAND, DiffOptions
from tokexplore.tui.cli.diff_runner import write_diff
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.export.html_diff import LEVELS, level
from tokexplore.tui.export.html_page import page_file
from tokexplore.tui.theme import DARK, LIGHT

TEXT = "Once upon a time\nthere was a king who had a great castle"
IDS = FakeEngine().encode(TEXT)
PLANTED = {tuple(IDS[:6]): {300: 40.0}}
Made = FakeEngine | FirstCandidates


class Letters(FakeEngine):
    """A fake whose tokens are single bytes alone: another vocabulary."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.pack([b"<s>", b"</s>", *(bytes([b]) for b in range(256))], (0, 1), 300)

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        del literal
        ids = [byte + 2 for byte in text.encode()]
        return ids if continuation else [0, *ids]


def asked(text: str = TEXT, **fields: object) -> DiffOptions:
    app = {n: fields.pop(n) for n in ("max_new_tokens", "settings") if n in fields}
    options = DiffOptions(other=LoadOptions(model="other"), **fields)  # type: ignore[arg-type]
    given = msgspec.structs.replace(
        options.app, prompt=PromptSpec(text=text), load=LoadOptions(model="one"), **app
    )
    return msgspec.structs.replace(options, app=given)


def told(
    options: DiffOptions,
    first: Made | None = None,
    second: Made | None = None,
    errors: io.StringIO | None = None,
) -> str:
    engines = {"one": first or FakeEngine(), "other": second or FakeEngine(planted=PLANTED)}
    out = io.BytesIO()
    code = write_diff(
        options,
        out,
        open_engine=lambda load, _: engines[load.model],
        errors=errors or io.StringIO(),
    )
    assert code == 0
    return out.getvalue().decode()


def lines(options: DiffOptions, *engines: Made) -> list[dict[str, object]]:
    options = msgspec.structs.replace(options, format="jsonl")
    return [json.loads(line) for line in told(options, *engines).splitlines()]


def known() -> list[Step]:
    first, second = FakeEngine(), FakeEngine(planted=PLANTED)
    shared = shared_tokens(first, second)
    assert shared is not None
    return list(along(first, second, IDS, 1, shared, Control()))


def test_the_report_has_the_totals_and_the_steps_that_differ_most() -> None:
    said = told(asked(top=1))
    steps = known()
    assert f"{len(IDS)} tokens, {len(steps)} steps compared" in said
    assert f"the same at {len(steps) - 1} of {len(steps)} steps" in said
    assert f"{totals(steps).js:.4g} nats a step" in said
    assert "Where they differ most, by Jensen–Shannon:" in said
    row = said.splitlines()[-1]
    assert row.split()[0] == "6", "the planted step"
    assert FakeEngine().vocabulary.show(300) in row
    assert len(told(asked(top=0)).splitlines()) < len(said.splitlines())


def test_json_lines_are_the_steps_and_their_totals() -> None:
    head, *steps, last = lines(asked())
    assert (head["type"], head["ids"], head["complete"]) == ("diff", IDS, True)
    assert head["prompt_length"] == len(IDS)
    for line, step in zip(steps, known(), strict=True):
        assert (line["position"], line["id"], line["origin"]) == (
            step.position,
            step.token,
            "prompt",
        )
        assert [line[n] for n in ("kl_ab", "kl_ba", "js", "acceptance", "delta")] == [
            step.kl, step.kl_back, step.js, step.acceptance, step.delta
        ]  # fmt: skip
        for side, reading in ((line["a"], step.first), (line["b"], step.second)):
            assert isinstance(side, dict)
            assert (side["logprob"], side["rank"]) == (reading.logprob, reading.rank)
            assert (side["margin"], side["greedy"]["id"]) == (reading.margin, reading.greedy)
    assert last["steps"] == len(steps)
    assert last["same_greedy"] == len(steps) - 1
    assert last["js"] == totals(known()).js


def test_csv_has_the_same_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(told(asked(format="csv")))))
    assert len(rows) == len(known())
    for row, step in zip(rows, known(), strict=True):
        assert float(row["js"]) == step.js
        assert float(row["logprob_b"]) == step.second.logprob
        assert int(row["greedy_id_a"]) == step.first.greedy


def test_a_page_holds_both_texts_and_loads_nothing() -> None:
    page = told(asked(format="html"))
    assert page.startswith("<!doctype html>")
    assert page.count('<p class="story">') == 2
    assert page.count(" parts") >= 2, "the planted step on both sides"
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://", page)
    assert "would say" in page


def test_colours_tell_which_one_was_surer_and_how_much() -> None:
    assert level(0.0, 2.0) == ""
    assert level(-2.0, 2.0) == f"less-{LEVELS}"
    assert level(float("-inf"), 2.0) == f"less-{LEVELS}"
    assert level(1.0, 2.0) == f"more-{LEVELS}"
    assert level(0.99, 2.0) == f"more-{LEVELS - 1}"
    assert level(2.0 / 2**LEVELS, 2.0) == "more-1"
    assert level(1.9 / 2**LEVELS, 2.0) == ""
    assert level(1.0, 0.0) == ""


def test_text_can_be_read_on_every_colour() -> None:
    sheet = page_file("html_diff.css")
    found = re.findall(r"--(?:less|more)-\d: (#\w+)", sheet)
    assert len(found) == 4 * LEVELS
    light, dark = found[: 2 * LEVELS], found[2 * LEVELS :]
    for theme, colours in ((LIGHT, light), (DARK, dark)):
        text = Color.parse(str(theme.foreground))
        for colour in colours:
            assert contrast_of(text, Color.parse(colour)) >= 4.5, colour


@pytest.mark.parametrize("by", ["A", "B"])
def test_one_goes_on_and_the_other_reads_along(by: str) -> None:
    first, second = FakeEngine(), FakeEngine()
    ids, said = planted_text(second if by == "B" else first, "Once", " upon a time")
    head, *steps, last = lines(asked("Once", max_new_tokens=3, by=by), first, second)
    assert head["ids"] == [*ids, *said[:3]]
    assert head["prompt_length"] == len(ids)
    assert [(s["position"], s["origin"]) for s in steps] == [
        (len(ids) + n, "generated") for n in range(3)
    ]
    writer, reader = ("b", "a") if by == "B" else ("a", "b")
    for step in steps:
        assert step[writer]["greedy"]["id"] == step["id"]  # type: ignore[index]
        assert step[reader]["greedy"]["id"] != step["id"]  # type: ignore[index]
    assert last["steps"] == 3


def test_it_goes_on_no_further_than_the_other_can_read() -> None:
    errors = io.StringIO()
    said = told(asked("Once upon a time", max_new_tokens=9), None, FakeEngine(context=7), errors)
    assert "2 steps compared" in said
    assert "ends at 7 tokens: at most 2 are generated" in errors.getvalue()


def test_what_a_server_does_not_list_is_not_known() -> None:
    server = FirstCandidates(abilities={"prompt_scores": True})
    said = told(asked(top=2), None, server)
    assert "lists the first candidates only" in said
    assert "KL(A‖B)         ? nats a step, at most ?" in said
    assert "by the token's logprob" in said
    head, *steps, last = lines(asked(), FakeEngine(), server)
    assert head["complete"] is False
    assert {(s["kl_ab"], s["js"], s["acceptance"]) for s in steps} == {(None, None, None)}
    assert last["js"] is None
    assert "?" in told(asked(format="html"), None, server)


def test_vocabularies_that_differ_are_compared_by_bytes() -> None:
    engines = FakeEngine(), Letters()
    head, *spans, last = lines(asked(), *engines)
    assert head["text"] == TEXT
    assert head["added"] == [[fake_vocabulary.BOS], [0]]
    assert "".join(bytes.fromhex(str(s["bytes"])).decode() for s in spans) == TEXT
    assert len(spans) == len(IDS) - 1, "each word of the one is whole letters of the other"
    assert last["bytes"] == len(TEXT.encode())
    assert last["tokens"] == [len(IDS) - 1, len(TEXT.encode())]
    for n, span in enumerate(spans):
        assert span["a"]["ids"] == [IDS[n + 1]]  # type: ignore[index]
        a, b = span["a"]["logprob"], span["b"]["logprob"]  # type: ignore[index]
        assert span["delta"] == b - a
    assert [names(line) for line in (head, spans[0], last)] == [
        "type a(model revision dtype device threads) b(model revision dtype device threads) "
        "version text ids added",
        "type start end bytes delta a(ids logprob) b(ids logprob)",
        "type spans bytes tokens surprisal bits_per_byte",
    ]
    said = told(asked(top=3), *engines)
    assert "there is no divergence" in said
    assert "A puts <s> around the text" in said
    rows = list(csv.DictReader(io.StringIO(told(asked(format="csv"), *engines))))
    assert [row["bytes"] for row in rows] == [s["bytes"] for s in spans]
    page = told(asked(format="html"), *engines)
    assert page.count('<p class="story">') == 2
    assert "underlined" not in page


class Fewer(FakeEngine):
    """A fake that lacks the last word of the others."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.pack(fake_vocabulary.TOKENS[:LACKED], range(6), LACKED)


LACKED = len(fake_vocabulary.TOKENS) - 1
KING = fake_vocabulary.TOKENS[LACKED].decode()


def test_a_token_that_one_lacks_is_not_read_by_it() -> None:
    errors, first = io.StringIO(), FakeEngine()
    planted_text(first, "Once", f" upon{KING}")
    said = told(asked("Once", max_new_tokens=5), first, Fewer(), errors)
    assert "3 tokens, 1 step compared" in said
    assert "left out of the divergences: 5 rows of A, which hold" in said
    assert f"fake said token {LACKED}, which fake does not have" in errors.getvalue()
    with pytest.raises(UsageError, match=f"the text holds token {LACKED}, which fake and fake do"):
        told(asked(f"Once{KING}"), first, Fewer())


@pytest.mark.parametrize("by", ["A", "B"])
def test_one_of_two_vocabularies_goes_on(by: str) -> None:
    first, second = FakeEngine(), Letters()
    writer = second if by == "B" else first
    planted_text(writer, "Once", " upon")
    head, *spans, _ = lines(asked("Once", max_new_tokens=20, by=by), first, second)
    assert head["text"] == "Once upon", "without what ends it"
    assert [(s["start"], s["end"]) for s in spans] == [(4, 9)]


def test_mistakes_are_told_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="the text is empty"):
        told(asked(""))
    with pytest.raises(UsageError, match="diff needs a text"):
        told(DiffOptions())
    with pytest.raises(UsageError, match=r"text is 7 tokens long and the context of fake is 5"):
        told(asked("Once upon a time ."), None, FakeEngine(context=5))
    with pytest.raises(UsageError, match=r"prompt is 7 tokens long and the context of fake is 5"):
        told(asked("Once upon a time ."), FakeEngine(context=5))
    with pytest.raises(UsageError, match="one token, and nothing comes before it"):
        told(asked("<s>"))
    with pytest.raises(UsageError, match="B, other: This engine gives no logprobs of tokens"):
        told(asked(), None, FirstCandidates())


def test_a_model_that_cannot_be_opened_is_told_by_its_letter() -> None:
    def opening(load: LoadOptions, _: Callable[[Progress], None]) -> FakeEngine:
        if load.model == "other":
            raise ModelError("its weights are not there.")
        return FakeEngine()

    with pytest.raises(ModelError, match=r"^B, other: its weights are not there\.$"):
        write_diff(asked(), io.BytesIO(), open_engine=opening, errors=io.StringIO())


def test_a_chat_is_read_by_the_template_of_the_first() -> None:
    options = asked()
    chat = PromptSpec(chat=Chat((Message("user", "who"),)))
    options = msgspec.structs.replace(
        options, app=msgspec.structs.replace(options.app, prompt=chat)
    )
    head, *_ = lines(options, FakeEngine(), FakeEngine(chat_template=False))
    assert chat.chat is not None
    assert head["ids"] == list(FakeEngine().render(chat.chat).ids)
    with pytest.raises(UsageError, match="give plain text"):
        told(options, FakeEngine(), Letters())


def test_other_tokens_of_the_second_are_told() -> None:
    class Spelling(FakeEngine):
        def encode(self, text: str, **how: bool) -> list[int]:  # type: ignore[override]
            del how
            return [fake_vocabulary.BOS, *(fake_vocabulary.FIRST_BYTE + b for b in text.encode())]

    errors = io.StringIO()
    told(asked(), FakeEngine(), Spelling(), errors)
    count = len(TEXT.encode()) + 1
    assert f"would read the text as {count} other tokens" in errors.getvalue()


def test_ctrl_c_ends_it_with_what_is_done() -> None:
    class Interrupted(FakeEngine):
        def full(self, ids: object) -> object:  # type: ignore[override]
            if len(ids) == 7:  # type: ignore[arg-type]
                os.kill(os.getpid(), signal.SIGINT)
            return super().full(ids)  # type: ignore[arg-type]

    engines = {"one": FakeEngine(chunk=4), "other": Interrupted(chunk=4)}
    out, errors = io.BytesIO(), io.StringIO()
    code = write_diff(
        asked(format="jsonl"), out, open_engine=lambda load, _: engines[load.model], errors=errors
    )
    assert code == 130
    assert json.loads(out.getvalue().splitlines()[-1])["steps"] == 8
    assert "stopped" in errors.getvalue()


def test_a_file_is_new_and_tells_its_format(tmp_path: Path) -> None:
    file = tmp_path / "both.csv"
    assert told(asked(output=str(file))) == ""
    assert file.read_text().startswith("position,origin,id")
    with pytest.raises(UsageError, match="is there already: give another name, or --force"):
        told(asked(output=str(file)))
    told(asked(output=str(file), force=True, format="jsonl"))
    assert json.loads(file.read_text().splitlines()[0])["type"] == "diff"
    with pytest.raises(UsageError, match="does not tell its format"):
        told(asked(output=str(tmp_path / "both.doc")))


def read(*arguments: str) -> DiffOptions:
    options: DiffOptions = SUBCOMMAND.read(arguments).options
    return options


def test_the_second_model_is_loaded_as_the_first_but_for_its_own_options() -> None:
    found = read("one", "other", "--dtype", "float32", "--revision", "old", "--threads", "2")
    assert found.other == LoadOptions(model="other", dtype="float32", threads=2)
    found = read("one", "one", "--revision", "old", "--b-dtype", "bfloat16", "--b-device", "cpu")
    assert found.other == LoadOptions(model="one", device="cpu", dtype="bfloat16", revision="old")
    assert read("one", "fable").other.model == "embedded"


def test_the_second_may_be_quantised_alone_or_not_at_all() -> None:
    quantized = [
        (found.app.load.quantize, found.other.quantize)
        for found in (
            read("one", "one", "--b-quantize", "int8"),
            read("one", "one", "--quantize", "int8"),
            read("one", "one", "--quantize", "int8", "--b-quantize", "none"),
        )
    ]
    assert quantized == [("", "int8"), ("int8", "int8"), ("int8", "")]


def test_an_adapter_is_the_firsts_alone_unless_both_are_one_model() -> None:
    style, other = Adapter("style", "/loras/style"), Adapter("o", "owner/other")
    found = read("one", "two", "--adapter", "/loras/style")
    assert (found.app.load.adapters, found.other.adapters) == ((style,), ())
    assert read("one", "one", "--adapter", "/loras/style/").other.adapters[0].name == "style"
    found = read("one", "one", "--b-adapter", "/loras/style", "--b-adapter", "o=owner/other")
    assert (found.app.load.adapters, found.other.adapters) == ((), (style, other))


A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("names", "more", "key"),
    [
        (("one", B), (), "K"),
        ((A, B), (), ""),
        ((A, f"{A}#other"), (), "K"),
        ((A, B), ("--b-api-key-env", "L"), "L"),
        ((A, A), ("--b-api-key-file", "/key"), ""),
    ],
)
def test_no_server_is_sent_the_key_of_another(
    names: tuple[str, str], more: tuple[str, ...], key: str
) -> None:
    found = read(*names, "--api-key-env", "K", "--api-timeout", "7", *more)
    assert found.app.load.server.key_env == "K"
    assert found.other.server.key_env == key
    assert found.other.server.timeout == 7
    assert found.other.server.without_secrets() == ServerOptions(timeout=7)


def test_a_mistake_of_the_command_line_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["diff", "embedded", str(tmp_path / "none"), "--prompt", "a"]) == 2
    assert "none" in capsys.readouterr().err
    assert main(["diff", "embedded"]) == 2
    assert issubclass(UsageError, TokexploreError)
