"""What a program writes to a pipe or a terminal, recorded as it is written."""

import codecs
from typing import BinaryIO

from tokexplore.tui.recording.cast import CastWriter


class RecordedOutput:
    """Stands in front of an output: all that goes through it is recorded too."""

    def __init__(self, out: BinaryIO, cast: CastWriter) -> None:
        self._out, self._cast = out, cast
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes, /) -> int:
        """Pass bytes on, and record them as a terminal would show them."""
        text = self._decoder.decode(data).replace("\n", "\r\n")
        if text:
            self._cast.output(text)
        return self._out.write(data)

    def flush(self) -> None:
        self._out.flush()

    def isatty(self) -> bool:
        return self._out.isatty()
