"""The words that files hold are what they are, whatever our names for things become.

A file that was written once is read for ever: a word here changes with the format's number only.
"""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from support.sessions import kept

from tokexplore.models import scored_text
from tokexplore.models.api import chat, engine, options, traffic
from tokexplore.models.api.provenance import AdapterInfo, Provenance
from tokexplore.models.lab import conditions
from tokexplore.models.sampling.sampler_view import Cut
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import compared, meta, rows, schema, vocabulary_rows
from tokexplore.models.session.reader import connect
from tokexplore.models.tree import events, study
from tokexplore.tui.explore import session_recorder
from tokexplore.widgets import candidate_rows, heat

FORMAT = Path(schema.__file__).with_name("FORMAT.md").read_text(encoding="utf-8")

FIELDS: dict[type[msgspec.Struct], str] = {
    # JSON in `body`
    Provenance: "model source revision config_hash dtype device attention vocabulary batch threads "
    "versions evidence adapters weights",
    AdapterInfo: "name source base kind rank targets weights_hash",
    SamplingSettings: "temperature top_k top_p min_p seed typical_p top_h epsilon_cutoff "
    "eta_cutoff dynamic_range repetition_penalty presence_penalty frequency_penalty "
    "no_repeat_ngram bias banned",
    rows._PromptBody: "form chat parts reasoning",
    compared._Body: "position token first second kl kl_back js acceptance left_out",
    compared._Reading: "logprob rank greedy margin",
    compared._SpanBody: "start end first second",
    compared._Side: "ids logprob",
    chat.ChatPart: "tokens message role kind",
    chat.Chat: "messages prefill template_args prefill_as prefill_more template tools literal",
    chat.Message: "role content more",
    Cut: "stage value kept mass tie low high kept_tied",
    study.Study: "setting dtype length planned varied runs controls forks close_calls notices "
    "offered served",
    study.StudiedRun: "number condition seed ids ended seconds load",
    traffic.Load: "running waiting cache",
    study.Checked: "number same_tokens same_logits",
    study.Fork: "step before choices tokens readings margin noise grid verdict",
    study.Reading: "runs logits taken lse",
    study.CloseCalls: "calls against sigma noisiest decisive",
    study.CloseCall: "step tokens readings margin noise grid",
    study.Verdict: "kind probability explained",
    # JSON in `meta`
    scored_text.ScoredText: "text ids logprobs ranks literal model",
    meta.Summary: "model nodes words updated asked end branches names",
    meta.Holder: "host pid started",
    session_recorder.ViewState: "load settings max_new_tokens single_step stop_texts stop_ids "
    "ignore_eos close_call row marked left show_hidden watched screen remarks",
    session_recorder.ScreenState: "colouring columns bits folded boundaries",
    options.LoadOptions: "model device dtype device_map revision trust_remote_code threads server "
    "adapters quantize beside kv_memory",
    options.Adapter: "name source",
    options.ServerOptions: "key_env key_file header_env tokenizer timeout top",
    # columns
    rows.EventRow: "seq at kind act node parent token origin settings model branch draw cursor "
    "logprob rank sampler_logprob kept log_norm body",
    rows.DistributionRow: "seq node again model vocabulary lse entropy margin top_logprob source "
    "seconds",
    vocabulary_rows.VocabularyRow: "id rows leading_space special ends bytes",
}

WORDS: dict[object, str] = {
    events.Act: ", change, undo, redo",
    events.Origin: "prompt, greedy, sampled, server, picked, typed, second, grown",
    engine.EndReason: "eos, end of turn, stop, length, context, interrupted",
    chat.PrefillAs: "turn, content, reasoning",
    chat.PartKind: "template, content, reasoning, call",
    study.Verdict.__annotations__["kind"]: "sampler, arithmetic, untold",
    conditions.Knob: "copies, batch, mates, together, beside, cache, prefill, dtype, device, "
    "attention, experts, threads, deterministic",
    options.Dtype: "auto, own, float32, bfloat16, float16",
    heat.Colouring: "surprisal, probability, entropy, delta, share",
    candidate_rows.ColumnSet: "standard, id, text",
}


def table(heading: str) -> list[list[str]]:
    """The words of each row of a table of FORMAT.md, those of its first two columns."""
    _, _, text = FORMAT.partition(f"\n## {heading}")
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [line.split("|")[1:3] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_kind_of_event_has_a_word_and_the_format_tells_of_each() -> None:
    told = [word for first, _ in table("event") for word in quoted(first)]
    assert sorted(rows.KINDS.values()) == sorted(told)
    assert set(rows.KINDS) == set(get_args(events.Event)) - set(rows.TOLD)
    assert (
        events.DistributionComputed,
        events.DistributionRecomputed,
        events.DistributionCompleted,
    ) == rows.TOLD


def test_the_columns_that_a_kind_names_are_columns() -> None:
    columns = set(FIELDS[rows.EventRow].split())
    named = [re.split(r"[,:]\s*", second.strip()) for _, second in table("event")]
    assert {names[0] for names in named} <= columns


@pytest.mark.parametrize("struct", FIELDS, ids=lambda struct: struct.__name__)
def test_a_stored_field_keeps_its_name(struct: type[msgspec.Struct]) -> None:
    assert [field.encode_name for field in msgspec.structs.fields(struct)] == FIELDS[struct].split()


def test_what_is_stored_tells_no_name_of_a_class() -> None:
    tagged = {struct: struct.__struct_config__.tag for struct in FIELDS}
    assert {struct: tag for struct, tag in tagged.items() if tag} == {study.Checked: "control"}
    lists = {struct for struct in FIELDS if struct.__struct_config__.array_like}
    assert lists == {
        rows.EventRow,
        rows.DistributionRow,
        vocabulary_rows.VocabularyRow,
        compared._Body,
        compared._Reading,
        compared._SpanBody,
        compared._Side,
    }


@pytest.mark.parametrize("kind", WORDS, ids=WORDS.get)
def test_a_stored_word_stays(kind: object) -> None:
    assert ", ".join(get_args(kind)) == WORDS[kind]


def test_a_file_has_the_tables_and_keys_that_the_format_tells_of(tmp_path: Path) -> None:
    kept(tmp_path / "a.tokx")
    connection = connect(tmp_path / "a.tokx")
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in names} == {
        "meta", "vocabulary", "event", "distribution", "candidates"
    }  # fmt: skip
    for name, struct in (
        ("event", rows.EventRow),
        ("distribution", rows.DistributionRow),
        ("vocabulary", vocabulary_rows.VocabularyRow),
    ):
        columns = connection.execute(f"SELECT name FROM pragma_table_info('{name}')")
        assert [column for (column,) in columns] == FIELDS[struct].split()
    keys = {key for (key,) in connection.execute("SELECT key FROM meta")}
    told = {word for first, _ in table("meta") for word in quoted(first)}
    assert keys == told - {"holder", "texts"}
    connection.close()
