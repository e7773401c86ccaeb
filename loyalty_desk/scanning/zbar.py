"""zbar: an optional second opinion on codes that zxing-cpp could not read.

It adds a few damaged and glaring codes. It is never needed: without the library the till reads on and says so. The
library is found and bound by pyzbar; the scan itself is done here, because pyzbar cannot ask for the bytes as they
are: it hands out text re-encoded from a guessed charset and without its byte order mark (5 of 15 awkward payloads
came back changed).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# From zbar.h; pyzbar's own list of settings is older than ZBAR_CFG_BINARY (zbar 0.23.1).
_ALL_SYMBOLS, _QR_CODE = 0, 64
_ENABLE, _BINARY = 0, 4
_GRAY = int.from_bytes(b"Y800", "little")


@dataclass(frozen=True, slots=True)
class ZbarAbsent:
    """zbar is not used on this machine; `reason` is one sentence for the diagnostics page."""

    reason: str


@dataclass(frozen=True, slots=True)
class ZbarReading:
    """What zbar read: exact bytes and the points around the code, in pixels of the picture it was given."""

    data: bytes
    points: tuple[tuple[float, float], ...]


class Zbar:
    """The loaded library."""

    def __init__(self, bound: Any) -> None:
        """Take pyzbar's module of bound functions. Raises `OldZbarError`."""
        self._bound = bound
        self._destroy(self._scanner())

    def read(self, gray: NDArray[Any]) -> list[ZbarReading]:
        """Return the QR codes in a gray picture; other symbologies print assertions to stderr (pyzbar#29)."""
        bound = self._bound
        # A scanner used again leaks with every code (zbar#258).
        scanner = self._scanner()
        image = bound.zbar_image_create()
        pixels = gray.tobytes()
        try:
            bound.zbar_image_set_format(image, _GRAY)
            bound.zbar_image_set_size(image, gray.shape[1], gray.shape[0])
            bound.zbar_image_set_data(image, ctypes.cast(ctypes.c_char_p(pixels), ctypes.c_void_p), len(pixels), None)
            bound.zbar_scan_image(scanner, image)
            return [reading for reading in self._readings(image) if reading.data]
        finally:
            bound.zbar_image_destroy(image)
            self._destroy(scanner)

    def _readings(self, image: Any) -> Iterator[ZbarReading]:
        bound = self._bound
        symbol = bound.zbar_image_first_symbol(image)
        while symbol:
            data = ctypes.string_at(bound.zbar_symbol_get_data(symbol), bound.zbar_symbol_get_data_length(symbol))
            count = bound.zbar_symbol_get_loc_size(symbol)
            points = tuple(
                (float(bound.zbar_symbol_get_loc_x(symbol, i)), float(bound.zbar_symbol_get_loc_y(symbol, i)))
                for i in range(count)
            )
            yield ZbarReading(data, points)
            symbol = bound.zbar_symbol_next(symbol)

    def _scanner(self) -> Any:
        scanner = self._bound.zbar_image_scanner_create()
        self._bound.zbar_image_scanner_set_config(scanner, _ALL_SYMBOLS, _ENABLE, 0)
        self._bound.zbar_image_scanner_set_config(scanner, _QR_CODE, _ENABLE, 1)
        if self._bound.zbar_image_scanner_set_config(scanner, _QR_CODE, _BINARY, 1) != 0:
            self._destroy(scanner)
            raise OldZbarError
        return scanner

    def _destroy(self, scanner: Any) -> None:
        self._bound.zbar_image_scanner_destroy(scanner)


class OldZbarError(Exception):
    """This libzbar cannot return bytes as they are."""


def load_zbar() -> Zbar | ZbarAbsent:
    """Load libzbar, or say why it is not used. Never raises for a missing, broken or old library."""
    if sys.platform == "win32":
        # The wheel's DLL was built in 2015, before the heap overflows CVE-2023-40889 and 40890 were mended: whoever
        # shows a code to the camera could crash the till or worse.
        return ZbarAbsent("zbar is not used on Windows: the library it comes with has known memory faults.")
    try:
        from pyzbar import wrapper  # type: ignore[import-untyped]

        return Zbar(wrapper)
    except (ImportError, OSError) as error:
        return ZbarAbsent(f"zbar is not installed ({error}); codes are read by zxing-cpp alone.")
    except OldZbarError:
        return ZbarAbsent(
            "The installed zbar is older than 0.23.1 and changes bytes; codes are read by zxing-cpp alone."
        )
