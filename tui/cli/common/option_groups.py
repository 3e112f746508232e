"""Groups of options that several commands share."""

import argparse
from collections.abc import Collection
from typing import get_args

from tokexplore.models.api.chat import PrefillAs
from tokexplore.models.api.options import EMBEDDED, Dtype, ServerOptions
from tokexplore.models.sampling.knobs import KNOBS
from tokexplore.models.sampling.settings import BY_FIELD
from tokexplore.models.server.named import server_of
from tokexplore.tui.cli.common.option_types import (
    adapter,
    at_least_one,
    count,
    number,
    numbers,
    positive,
    positive_gigabytes,
    threads,
    whole,
    whole_numbers,
)
from tokexplore.tui.explore.options import MAX_NEW_TOKENS
from tokexplore.tui.export.file_format import FORMATS

LOADING = (
    "device",
    "dtype",
    "device_map",
    "revision",
    "trust_remote_code",
    "threads",
    "adapters",
    "quantize",
    "kv_memory",
)
_SAMPLING = (
    "Greedy unless --temperature is above 0. A model that comes with tokexplore starts on the "
    "screen and in lines (--plain) as its makers suggest, where none of these but --seed is given."
)


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default=EMBEDDED,
        metavar="MODEL",
        help="a directory, a GGUF file, a name in the hub cache, a hub id, smollm2 or a server's "
        "address (default: the embedded model)",
    )


def add_prompt(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "prompt", "Standard input is the prompt where it is a pipe and no option names one."
    )
    group.add_argument("--prompt", metavar="TEXT", help="plain text to go on from")
    group.add_argument(
        "--prompt-file",
        metavar="FILE",
        help="read it from a UTF-8 file, - for standard input; one line break at the end is left "
        "out",
    )
    add_literal(group)


def add_literal(group: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    group.add_argument(
        "--literal",
        action="store_true",
        help="read the names of tokens in the text, such as </s>, as their characters",
    )


def add_chat(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "chat", "Any of these renders the prompt with the model's chat template."
    )
    group.add_argument("--chat", action="store_true", help="the prompt is the user's message")
    group.add_argument("--system", metavar="TEXT", help="the system's message")
    group.add_argument("--user", metavar="TEXT", help="the user's message")
    group.add_argument(
        "--prefill",
        metavar="TEXT",
        help="the assistant's first words, which the model goes on from",
    )
    group.add_argument(
        "--prefill-as",
        choices=get_args(PrefillAs),
        help="turn: as they are, after the turn that the template opens (the default); content, "
        "reasoning: as the template writes those of an answer",
    )
    group.add_argument(
        "--messages",
        metavar="FILE.json",
        help='a list of {"role": ..., "content": ...}, or an object of messages and tools',
    )
    group.add_argument(
        "--template", metavar="NAME", help="which chat template, where the model has several"
    )
    group.add_argument(
        "--template-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the template, such as enable_thinking=false; may be repeated",
    )


def add_sampling(
    parser: argparse.ArgumentParser, about: str = _SAMPLING, *, seed: bool = True
) -> None:
    """The sampler's settings.

    Args:
        about: when they hold.
        seed: whether anything is drawn.
    """
    group = parser.add_argument_group("sampling", about)
    for stage in BY_FIELD.values():
        if stage.common is not None and (seed or stage.field != "seed"):
            group.add_argument(
                f"--{stage.option}",
                type=whole if stage.whole else number,
                metavar=stage.common.metavar,
                help=stage.common.help,
            )
    for knob in KNOBS:
        if BY_FIELD[knob.field].common is None:
            whose = f" ({knob.elsewhere} formula, not in transformers)" if knob.elsewhere else ""
            group.add_argument(
                f"--{knob.name}",
                type=whole if knob.whole else number,
                metavar="N" if knob.whole else "X",
                help=knob.meaning + whose,
            )
    _add_sequences(group)
    group.add_argument(
        "--model-defaults",
        action="store_true",
        help="adopt the model's own suggestions where no option is given",
    )


def add_watch(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("watch-list")
    group.add_argument(
        "--watch",
        action="append",
        default=[],
        metavar="TEXT",
        help="follow the token of this text at every step, whatever its rank (mind the space in "
        "' king'); may be repeated",
    )
    group.add_argument(
        "--watch-id",
        action="append",
        type=count,
        default=[],
        metavar="ID",
        help="the same by token id",
    )


def _add_sequences(group: argparse._ArgumentGroup) -> None:
    """Options that name tokens."""
    group.add_argument(
        "--bias",
        action="append",
        default=[],
        metavar="TEXT=X",
        help="add X to the logit of a text's last token where the text before it stands "
        "(mind the space in ' dragon=-5'); may be repeated",
    )
    group.add_argument(
        "--bias-id",
        action="append",
        default=[],
        metavar="ID[,ID]=X",
        help="the same by token ids",
    )
    group.add_argument(
        "--ban", action="append", default=[], metavar="TEXT", help="never take this text"
    )
    group.add_argument(
        "--ban-id", action="append", default=[], metavar="ID[,ID]", help="the same by token ids"
    )


def add_lists(parser: argparse.ArgumentParser, listed: Collection[str] = BY_FIELD.keys()) -> None:
    """The sampler's numbers, of which those of the fields `listed` take several with commas."""
    group = parser.add_argument_group(
        "sampling",
        "Lists, such as 0.1,0.9, give every combination of their values, in the order of these "
        "options; the temperature is 1 unless it is given.",
    )
    for knob in KNOBS:
        single, several = (whole, whole_numbers) if knob.whole else (number, numbers)
        value = {"temperature": "T", "top_p": "P"}.get(knob.field, "N" if knob.whole else "X")
        group.add_argument(
            f"--{knob.name}",
            type=several if knob.field in listed else single,
            metavar=f"{value}[,{value}...]" if knob.field in listed else value,
            help=knob.meaning,
        )


def add_ending(parser: argparse.ArgumentParser) -> None:
    """How long a text may be, and what ends it."""
    group = parser.add_argument_group("length and end")
    group.add_argument(
        "--max-new-tokens",
        type=count,
        default=MAX_NEW_TOKENS,
        metavar="N",
        help="tokens to generate at most (%(default)s)",
    )
    add_stops(group)


def add_stops(group: argparse._ArgumentGroup) -> None:
    """What ends a text."""
    group.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end where this text appears; may be repeated",
    )
    group.add_argument(
        "--stop-id",
        action="append",
        type=count,
        default=[],
        metavar="ID",
        help="end at this token; may be repeated",
    )
    group.add_argument("--ignore-eos", action="store_true", help="go on past the end of the text")


def add_loading(
    parser: argparse.ArgumentParser, dtype: str = "%(default)s", *, names_one: bool = True
) -> None:
    """How a model is loaded; `dtype` says what holds where --dtype is not given."""
    group = parser.add_argument_group("loading")
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto (the GPU with the most free memory, else the CPU), cpu, cuda, cuda:1, mps",
    )
    group.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        default="auto",
        help="auto: float32 on a CPU, the checkpoint's own on a GPU; own: the checkpoint's "
        f"({dtype})",
    )
    group.add_argument(
        "--device-map",
        choices=("auto",),
        default="",
        help="spread the model over several devices",
    )
    group.add_argument(
        "--quantize",
        choices=("int8", "int4"),
        default="",
        help="hold the weights of linear layers in so many bits; --dtype is what is computed in; "
        "int4 on CUDA GPUs only; needs the extra tokexplore[quantize]",
    )
    group.add_argument("--revision", default="", metavar="REF", help="branch, tag or commit")
    group.add_argument(
        "--trust-remote-code", action="store_true", help="run the code that comes with the model"
    )
    group.add_argument(
        "--adapter",
        dest="adapters",
        type=adapter,
        action="append",
        metavar="[NAME=]DIR|ID",
        help="put an adapter (LoRA and its kin, as peft saves them) on the model, unmerged; may be "
        "repeated: all are active together",
    )
    group.add_argument(
        "--threads",
        type=threads,
        metavar="N|auto",
        help="threads of the CPU; auto, the app's default, takes fewer while that is faster, on "
        "which the last bits of the numbers depend (default elsewhere: by machine and model)",
    )
    group.add_argument(
        "--kv-memory",
        type=positive_gigabytes,
        metavar="GB",
        help="keep so much of the paths that were left at most; going back to one that was dropped "
        "for it costs a prefill (default: 2, or 40 %% of what is free after loading where that is "
        "less)",
    )
    add_server(parser, names_one=names_one)


def add_server(parser: argparse.ArgumentParser, *, names_one: bool) -> None:
    """How a model behind a server is asked; `names_one` where the command names the model."""
    group = parser.add_argument_group(
        "server", "Of a model behind vLLM, SGLang, llama.cpp's server or OpenAI's completions: "
        "http://HOST:PORT, #NAME at its end where there are several; by its chats: "
        "http://HOST:PORT/v1/chat/completions."
    )  # fmt: skip
    if names_one:
        group.add_argument(
            "--api",
            type=server_of,
            metavar="URL|NAME",
            help="the address of the server, or its name in servers.toml; MODEL is then its name "
            "of the model",
        )
    group.add_argument(
        "--api-key-env", metavar="NAME", help="the variable that holds the key of the server"
    )
    group.add_argument(
        "--api-key-file", metavar="FILE", help="or a file that holds it, which nobody else can read"
    )
    group.add_argument(
        "--api-header-env",
        action="append",
        metavar="NAME=VARIABLE",
        help="send a header whose value stands in a variable; may be repeated",
    )
    group.add_argument(
        "--tokenizer",
        metavar="DIR",
        help="a directory or hub id with the model's tokenizer, where the server tells no bytes of "
        "tokens (vLLM, SGLang: default is the model that it says it runs; OpenAI's API)",
    )
    group.add_argument(
        "--api-timeout",
        type=positive,
        metavar="SECONDS",
        help=f"how long the server may be silent ({ServerOptions().timeout:g})",
    )
    group.add_argument(
        "--api-top",
        type=at_least_one,
        metavar="N",
        help=f"candidates that are asked for at every step ({ServerOptions().top})",
    )


def add_output(parser: argparse.ArgumentParser, top: int, listed: str) -> None:
    """Where a report goes, and as what.

    Args:
        top: how many rows are listed where nothing else is asked.
        listed: what they are.
    """
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=FORMATS,
        default="",
        help="default: what the name of the output tells; text on standard output",
    )
    output.add_argument(
        "--top", type=count, default=top, metavar="N", help=f"{listed} (%(default)s)"
    )
    output.add_argument("-o", "--output", default="", metavar="FILE", help="a new file to write")
    output.add_argument("--force", action="store_true", help="write over a file that is there")


def add_shared(parser: argparse.ArgumentParser) -> None:
    """The options that the app and `run` have in common."""
    add_model(parser)
    add_prompt(parser)
    add_chat(parser)
    add_sampling(parser)
    add_watch(parser)
    add_ending(parser)
    add_loading(parser)


def add_session_file(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument_group("session").add_argument(
        "--session",
        default="",
        metavar="FILE",
        help=f"keep the session in this new file ({default})",
    )


def add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "session",
        nargs="?",
        default="",
        metavar="SESSION",
        help="a file, a name that `tokexplore sessions` lists, or how one begins (default: the "
        "latest)",
    )
