"""What users type on a command line, and what Textual finds by the names of our classes."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from textual.css.model import SelectorType
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump

from tokexplore import tui, widgets
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.explore.options import AppOptions

PROMPT = "prompt prompt-file literal chat system user prefill prefill-as messages template"
PROMPT += " template-arg"
KNOBS = "temperature top-k top-p min-p seed repetition-penalty no-repeat-ngram presence-penalty"
KNOBS += " frequency-penalty dynamic-range top-h typical-p epsilon-cutoff eta-cutoff"
SAMPLING = f"{KNOBS} bias bias-id ban ban-id model-defaults"
LENGTH = "max-new-tokens stop stop-id ignore-eos"
ASKED = "api-key-env api-key-file api-header-env tokenizer api-timeout api-top"
SERVER = f"api {ASKED}"
WEIGHTS = "device dtype device-map quantize revision trust-remote-code adapter threads kv-memory"
SECOND = "b-device b-dtype b-device-map b-revision b-tokenizer b-api-key-env b-api-key-file"
SECOND += " b-api-header-env b-adapter b-quantize"
AGAINST = f"against {SECOND}".replace(" b-", " against-")
LOADING = f"{WEIGHTS} {SERVER}"
CAST = "record cast-version cast-idle-cap"
SCREEN = f"theme ansi plain output {CAST}"
RUN = f"{PROMPT} {SAMPLING} watch watch-id {LENGTH} {LOADING}"
LAB = f"format {PROMPT} {SAMPLING} {LENGTH} {LOADING}"

OPTIONS = {
    "": f"version {RUN} {SCREEN} close-call models-dir tuned-lens session {AGAINST}",
    "examples": f"version {RUN} {SCREEN} close-call models-dir tuned-lens session {AGAINST}",
    "run": f"{RUN} format candidates {CAST} session",
    "score": f"literal format candidates {LOADING}",
    "prob": f"text {PROMPT} format {LOADING}",
    "diff": f"{PROMPT} {SAMPLING} {LENGTH} by whole format top force {WEIGHTS} {ASKED} {SECOND}",
    "why": f"token token-id against against-id lens positions tuned-lens layers heads sort words "
    f"finest everything gradients points attention {PROMPT} format top force {LOADING}",
    "grow": f"budget seconds depth least-mass by watch-text {PROMPT} "
    f"{SAMPLING.replace(' seed', '')} {LENGTH.removeprefix('max-new-tokens')} "
    f"format top force {LOADING}",
    "sweep": f"{PROMPT} {KNOBS} {LENGTH} {LOADING} runs batch candidates grid steps format plot",
    "lab repeat": f"{LAB} runs vary batches concurrency deal new-seeds plain",
    "lab noise": f"{LAB} against",
    "lab sums": f"{LAB} step",
    "lab experts": f"{LAB} factors groups runs batch",
    "lens": f"{PROMPT} {KNOBS} {LOADING} logits logprobs file position top draw format plot theme",
    "tape": "cast gif svg check",
    "gif": "",
    "models": SERVER,
    "sessions": "remove older-than yes",
    "open": f"{SCREEN} {WEIGHTS} {ASKED}",
    "replay": f"speed idle-cap {SCREEN}",
    "export": "format scope candidates force",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_has_the_options_that_it_had(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command.split(), "--help"])
    assert left.value.code == 0
    found = re.findall(r"^  (?:-\w, )?--([\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert sorted(found) == sorted(["help", *OPTIONS[command].split()])


def below(kind: type) -> Iterator[type]:
    """All classes that inherit from one."""
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def ours(kind: type) -> list[type]:
    """Those of them that are in our own modules."""
    for package in (tui, widgets):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return [child for child in below(kind) if child.__module__.startswith("tokexplore.")]


def test_every_message_that_a_handler_is_named_after_exists() -> None:
    named = {
        (kind.__qualname__, name)
        for kind in ours(MessagePump)
        for name in vars(kind)
        if name.startswith(("on_", "_on_"))
    }
    known = {message.handler_name for message in below(Message)}
    assert len(named) > 50
    assert not {(kind, name) for kind, name in named if name.removeprefix("_") not in known}


def test_every_class_that_a_style_is_for_exists() -> None:
    sheet = Stylesheet(variables=TokexploreApp(AppOptions()).get_css_variables())
    sheet.read(TokexploreApp.CSS_PATH)
    for kind in ours(DOMNode):
        style = vars(kind).get("DEFAULT_CSS", "")
        sheet.add_source(style, read_from=(kind.__qualname__, ""), is_default_css=True)
    named = {
        selector.name
        for rules in sheet.rules
        for one in rules.selector_set
        for selector in one.selectors
        if selector.type == SelectorType.TYPE
    }
    assert len(named) > 15
    assert named <= {kind.__name__ for kind in below(DOMNode)}
