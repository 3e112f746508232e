"""Recordings as animated GIFs, by a terminal emulator and a font of this machine."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokexplore.models.errors import UsageError
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
INK, PAPER = "#e6e6e6", "#0e1118"
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


def write_gif(cast: Cast, out: Path) -> int:
    """Write a recording as a GIF; how many frames it has.

    Raises:
        UsageError: pyte, Pillow or a font is missing, the file is there already, or the recording
            is empty.
    """
    try:
        import pyte

        fonts = load_fonts()
    except ImportError as error:
        raise UsageError(
            f"GIFs need {error.name}: install tokexplore with its extra, `pip install "
            "'tokexplore[gif]'`."
        ) from None
    if out.exists():
        raise UsageError(f"{out} is there already: give another name.")
    screen = pyte.Screen(cast.columns, cast.rows)
    shown = list(_frames(cast, screen, fonts))
    if not shown:
        raise UsageError("the recording shows nothing: there is no frame for a GIF.")
    images = _with_one_palette([image for image, _ in shown])
    lengths = [round(1000 * seconds) for _, seconds in shown]
    images[0].save(
        out, save_all=True, append_images=images[1:], duration=lengths, loop=0, optimize=True
    )
    return len(images)


def load_fonts() -> "list[FreeTypeFont]":
    """A monospaced font of this machine, plain and bold.

    Raises:
        ImportError: Pillow is not installed.
        UsageError: no font was found.
    """
    from PIL import ImageFont

    return [ImageFont.truetype(_font_file(bold), FONT_SIZE) for bold in (False, True)]


def _frames(
    cast: Cast, screen: Any, fonts: "list[FreeTypeFont]"
) -> Iterator[tuple["Image", float]]:
    """Pictures of the screen, each with the seconds that it is shown."""
    import pyte

    stream = pyte.Stream(screen)
    outputs = [event for event in cast.events if event.code in "or"]
    for index, event in enumerate(outputs):
        if event.code == "r":
            columns, rows = (int(part) for part in event.data.split("x"))
            screen.resize(rows, columns)
        else:
            stream.feed(event.data)
        last = index + 1 == len(outputs)
        seconds = LAST if last else outputs[index + 1].at - event.at
        if seconds >= SHORTEST:
            yield draw(screen, (cast.columns, cast.rows), fonts), min(seconds, LONGEST)


def draw(screen: Any, size: tuple[int, int], fonts: "list[FreeTypeFont]") -> "Image":
    """The screen of a terminal emulator as a picture."""
    from PIL import Image, ImageDraw

    width = round(fonts[0].getlength("M"))
    ascent, descent = fonts[0].getmetrics()
    height = ascent + descent + 2
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


def _with_one_palette(images: "list[Image]") -> "list[Image]":
    """The same pictures in the colours of a few of them: a frame then holds only what changed."""
    from PIL import Image

    few = images[:: max(1, len(images) // SAMPLES)]
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(few)))
    for index, image in enumerate(few):
        sheet.paste(image, (0, height * index))
    palette = sheet.quantize(colors=COLOURS, dither=Image.Dither.NONE)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


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
    known = next((p for p in (place.format(weight) for place in _PLACES) if Path(p).exists()), "")
    if known:
        return known
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
