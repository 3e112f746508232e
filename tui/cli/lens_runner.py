"""`tokexplore lens`: one step under several settings, written as text, as JSON or as a picture."""

import sys
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import Engine
from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.lens import look
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.own_engine import interruptible, opened, prompt_ids
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.lens import LensOptions
from tokexplore.tui.cli.lens_json import lens_object
from tokexplore.tui.cli.lens_plot import check_plot, drawing
from tokexplore.tui.cli.lens_values import Looked
from tokexplore.tui.cli.lens_words import given_words, mass_notice
from tokexplore.tui.export.to_file import new_file
from tokexplore.tui.report.lens_text import lens_lines, names_of


def run_lens(
    options: LensOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Look at the step and write what was asked for; the exit code.

    Raises:
        UsageError: no prompt, one that is too long, a position that it has not, words that cannot
            be read, settings that are not possible, a picture that cannot be drawn.
        TokexploreError: see `Engine`.
    """
    if options.plot:
        check_plot(options)
    with interruptible() as interruption, Meter(errors or sys.stderr) as meter:
        if options.of_words:
            looked = _words(options)
        else:
            if options.app.prompt is None:
                raise UsageError(
                    "lens needs a prompt for a model (--prompt TEXT), or words: one of --logits, "
                    "--logprobs and --file."
                )
            engine = opened(options.app.load, open_engine, meter, interruption, options.app.prompt)
            if engine is None:
                return interruption.code
            looked = _step(options, engine, meter)
        meter.clear()
        if options.plot:
            with new_file(options.plot) as file:
                file.write(drawing(looked, options))
        if looked.notice and options.format == "json":
            meter.say(looked.notice)
        lines = iter([lens_object(looked)]) if options.format == "json" else _text(looked)
        for line in lines:
            out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        out.flush()
        return interruption.code


def _words(options: LensOptions) -> Looked:
    from tokexplore.models.engine.sampler_effects import lens_of

    words, logits = given_words(options)
    lens = lens_of(logits, options.settings, options.draw)
    raw = [words[c.token].encode("utf-8", "surrogatepass") for c in lens.candidates]
    return Looked(lens, names_of(lens, words), raw, notice=mass_notice(options, logits))


def _step(options: LensOptions, engine: Engine, meter: Meter) -> Looked:
    assert options.app.prompt is not None
    ids = prompt_ids(engine, options.app.prompt, meter)
    position = len(ids) if options.position is None else options.position
    if not 1 <= position <= len(ids):
        raise UsageError(
            f"--position {position} is not there: the prompt has {len(ids):,} tokens, give 1 to "
            f"{len(ids)}."
        )
    before, taken = ids[:position], ids[position] if position < len(ids) else None
    lens = look(engine, before, options.settings, options.top, options.draw)
    vocabulary = engine.vocabulary
    names = [vocabulary.show(c.token) for c in lens.candidates]
    raw = [vocabulary.bytes_of(c.token) for c in lens.candidates]
    return Looked(lens, names, raw, engine.info, vocabulary, before, taken)


def _text(looked: Looked) -> Iterator[str]:
    lens, info = looked.lens, looked.info
    if looked.notice:
        yield looked.notice
    if info is None:
        yield from lens_lines(lens, looked.names)
        return
    yield safe_text(f"{info.name} · {info.precision} on {info.device} · after “{looked.after}”")
    if extent := lens.distribution.extent:
        yield f"{extent} candidates, all that this engine lists; ? needs the others"
    if looked.taken is not None:
        yield f"the prompt goes on with {looked.goes_on}"
    yield ""
    yield from lens_lines(lens, looked.names, first="token")
