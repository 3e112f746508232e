"""Recordings as animated GIFs, by a terminal emulator and a font of this machine."""

import re
import shutil
import subprocess
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokexplore.models.api.engine import Progress
from tokexplore.models.errors import UsageError
from tokexplore.tui.explore.options import check_new
from tokexplore.tui.recording.cast import Cast

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

FONT_SIZE = 16
SHORTEST, LONGEST = 0.04, 5.0
"""Seconds that a frame is shown."""
LAST = 2.0
"""Seconds that the last frame is shown."""
COLOURS, SAMPLES = 64, 12
MOST_PIXELS = 4 * 10**9
"""Of all frames together, each of which takes a byte until the file is written."""
SAMPLED_PIXELS = 10**8
"""Of the frames together that the colours are taken from."""
INK, PAPER = "#e6e6e6", "#0e1118"
_SEQUENCES = re.compile(r"(?=\x1b)")
_FONTS = ("DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono", "Menlo", "Consolas")
_PLACES = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono{}.ttf",
    "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono{}.ttf",
    "/usr/share/fonts/TTF/DejaVuSansMono{}.ttf",
    "/System/Library/Fonts/Menlo.ttc",
)
_NAMED = {
    "black": "#000000", "red": "#cc3333", "green": "#33aa55", "brown": "#c09030",
    "blue": "#4477dd", "magenta": "#aa55aa", "cyan": "#33aaaa", "white": "#cccccc",
}  # fmt: skip


def write_gif(cast: Cast, out: Path, show: Callable[[Progress], None] = lambda _: None) -> int:
    """Write a recording as a GIF; how many frames it has.

    Args:
        out: a new file.
        show: told how many frames are drawn.

    Raises:
        UsageError: pyte, Pillow or a font is missing, the file is there already or its folder is
            not, the recording is empty or too long.
    """
    try:
        import pyte  # noqa: F401 -- before anything is done

        fonts = load_fonts()
    except ImportError as error:
        raise UsageError(
            f"GIFs need {error.name}: install tokexplore with its extra, `pip install "
            "'tokexplore[gif]'`."
        ) from None
    check_new(str(out), "the output", "give another name")
    shown = _shown(cast)
    if not shown:
        raise UsageError("the recording shows nothing: there is no frame for a GIF.")
    width, height = _cell(fonts)
    pixels = cast.columns * width * cast.rows * height
    most = MOST_PIXELS // pixels
    if len(shown) > most:
        raise UsageError(
            f"the recording has {len(shown):,} frames, and a GIF of {cast.columns}x{cast.rows} "
            f"can have {most:,}: record less, or a smaller screen."
        )
    samples = max(1, min(SAMPLES, SAMPLED_PIXELS // pixels))
    few = list(shown)[:: -(-len(shown) // samples)]
    palette = _palette(list(_pictures(cast, few, fonts)))
    images = _in_colours(_pictures(cast, shown, fonts), palette, len(shown), show)
    lengths = [round(1000 * seconds) for seconds in shown.values()]
    next(images).save(
        out, "GIF", save_all=True, append_images=images, duration=lengths, loop=0, optimize=True
    )
    return len(shown)


def load_fonts() -> "list[FreeTypeFont]":
    """A monospaced font of this machine, plain and bold.

    Raises:
        ImportError: Pillow is not installed.
        UsageError: no font was found.
    """
    from PIL import ImageFont

    return [ImageFont.truetype(_font_file(bold), FONT_SIZE) for bold in (False, True)]


def _cell(fonts: "list[FreeTypeFont]") -> tuple[int, int]:
    """Width and height of a cell in pixels."""
    ascent, descent = fonts[0].getmetrics()
    return round(fonts[0].getlength("M")), ascent + descent + 2


def _shown(cast: Cast) -> dict[int, float]:
    """The events after which the screen stands long enough to be seen, with the seconds of each."""
    outputs = [index for index, event in enumerate(cast.events) if event.code in ("o", "r")]
    gaps = [cast.events[b].at - cast.events[a].at for a, b in pairwise(outputs)]
    lasting = zip(outputs, [*gaps, LAST], strict=False)
    return {index: min(seconds, LONGEST) for index, seconds in lasting if seconds >= SHORTEST}


def _pictures(cast: Cast, wanted: Container[int], fonts: "list[FreeTypeFont]") -> "Iterator[Image]":
    """Pictures of the screen after some of the events."""
    import pyte

    screen = pyte.Screen(cast.columns, cast.rows)
    stream = pyte.Stream(screen)
    for index, event in enumerate(cast.events):
        if event.code == "r":
            columns, rows = (int(part) for part in event.data.split("x"))
            screen.resize(rows, columns)
        elif event.code == "o":
            for part in _SEQUENCES.split(event.data):
                with suppress(Exception):  # a sequence that the emulator cannot read is not shown
                    stream.feed(part)
        if index in wanted:
            yield draw(screen, (cast.columns, cast.rows), fonts)


def draw(screen: Any, size: tuple[int, int], fonts: "list[FreeTypeFont]") -> "Image":
    """The screen of a terminal emulator as a picture."""
    from PIL import Image, ImageDraw

    width, height = _cell(fonts)
    columns, rows = size
    image = Image.new("RGB", (columns * width, rows * height), PAPER)
    draw = ImageDraw.Draw(image)
    for y in range(rows):
        for x in range(columns):
            cell = screen.buffer[y][x]
            ink, paper = _colour(cell.fg, INK), _colour(cell.bg, PAPER)
            if cell.reverse:
                ink, paper = paper, ink
            left, top = x * width, y * height
            if paper != PAPER:
                draw.rectangle((left, top, left + width - 1, top + height - 1), fill=paper)
            if cell.data.strip():
                draw.text((left, top + 1), cell.data, font=fonts[cell.bold], fill=ink)
            if cell.underscore:
                draw.line((left, top + height - 2, left + width - 1, top + height - 2), fill=ink)
    return image


def _palette(few: "list[Image]") -> "Image":
    """The colours of a few pictures: with one palette a frame holds only what changed."""
    from PIL import Image

    width, height = few[0].size
    sheet = Image.new("RGB", (width, height * len(few)))
    for index, image in enumerate(few):
        sheet.paste(image, (0, height * index))
    return sheet.quantize(colors=COLOURS, dither=Image.Dither.NONE)


def _in_colours(
    pictures: "Iterator[Image]", palette: "Image", count: int, show: Callable[[Progress], None]
) -> "Iterator[Image]":
    """The same pictures in the colours of a palette, each told of when it is done."""
    from PIL import Image

    for number, picture in enumerate(pictures, 1):
        yield picture.quantize(palette=palette, dither=Image.Dither.NONE)
        show(Progress("frames", number, count, f"{number:,} of {count:,}"))


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    name = name.removeprefix("bright")
    return _NAMED.get(name) or (f"#{name}" if len(name) == 6 else default)


def _font_file(bold: bool) -> str:
    """A monospaced font of this machine.

    Raises:
        UsageError: when none is found.
    """
    weight = "-Bold" if bold else ""
    path = next((p for p in (place.format(weight) for place in _PLACES) if Path(p).exists()), "")
    if path:
        return path
    if shutil.which("fc-match"):
        for family in _FONTS:
            wanted = f"{family}:style={'Bold' if bold else 'Regular'}"
            command = ["fc-match", "-f", "%{family}|%{file}", wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            found, _, file = done.partition("|")
            if family in found and Path(file).exists():
                return file
    raise UsageError(
        "no monospaced font was found for the GIF: install DejaVu Sans Mono (fonts-dejavu-core)."
    )
