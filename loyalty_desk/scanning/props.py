"""What the simulated webcam sees: the room behind the counter, and a hand with a card or a phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SKIN = (128, 158, 205)
_SKIN_DARK = (96, 122, 172)
_SLEEVE = (92, 70, 52)
_CARD_TEXT = 30
"""Longer texts are codes of a phone; a card holds a short one for years."""


@dataclass(frozen=True, slots=True)
class Prop:
    """A hand with something in it: BGRA, the middle of the thing, its scale in the frame.

    Colours are premultiplied: drawn with soft edges on black that covers nothing, they already are.
    """

    picture: NDArray[Any]
    middle: tuple[float, float]
    scale: float


def draw_counter(rng: Any, width: int, height: int) -> NDArray[Any]:
    """Draw a café out of focus: wall, shelves with bottles, lamps, a guest's shoulders, the counter's edge."""
    import numpy as np

    cv2 = load_cv2()
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    room = np.array([96, 118, 138], np.float32) * (1 - 0.45 * down) + np.zeros((height, width, 3), np.float32)
    room = room.astype(np.uint8)
    for shelf in (150, 290):
        cv2.rectangle(room, (0, shelf), (width, shelf + 16), (48, 66, 88), -1)
        x = 20
        while x < width:
            wide, tall = int(rng.integers(18, 46)), int(rng.integers(40, 100))
            colour = [int(c) for c in rng.integers(30, 170, 3)]
            cv2.rectangle(room, (x, shelf - tall), (x + wide, shelf), colour, -1)
            x += wide + int(rng.integers(6, 60))
    room = cv2.GaussianBlur(room, (0, 0), 9)
    lamps = np.zeros_like(room)
    for _ in range(7):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height // 3)))
        cv2.circle(lamps, centre, int(rng.integers(18, 44)), (90, 140, 190), -1)
    room = cv2.add(room, cv2.GaussianBlur(lamps, (0, 0), 6))
    guest = room.copy()
    cv2.ellipse(guest, (width * 38 // 100, height + 60), (330, 420), 0, 0, 360, (112, 84, 60), -1)
    cv2.ellipse(guest, (width * 38 // 100, 190), (108, 142), 0, 0, 360, (136, 164, 206), -1)
    cv2.ellipse(guest, (width * 38 // 100, 120), (122, 100), 0, 180, 360, (40, 48, 60), -1)
    room = cv2.GaussianBlur(guest, (0, 0), 7)
    cv2.rectangle(room, (0, height - 92), (width, height), (58, 84, 118), -1)
    cv2.line(room, (0, height - 92), (width, height - 92), (110, 140, 172), 3)
    grain = cv2.resize(rng.normal(0, 9, (92, 40)).astype(np.float32), (width, 92))[:, :, None]
    room[height - 92 :] = np.clip(room[height - 92 :] + grain, 0, 255).astype(np.uint8)
    room = cv2.GaussianBlur(room, (0, 0), 1.6)
    across = np.linspace(-1, 1, width)[None, :, None]
    along = np.linspace(-1, 1, height)[:, None, None]
    corners = 1 - 0.28 * (across**2 + along**2) / 2
    return np.clip(room * corners, 0, 255).astype(np.uint8)  # type: ignore[no-any-return]


def code_picture(text: str, pixels: int) -> NDArray[Any]:
    """`text` as a QR code with its margin of 4 modules, gray, whole pixels a module, at most `pixels` wide."""
    import numpy as np
    import segno

    code = segno.make_qr(text, error="l", boost_error=False)
    modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    each = max(1, pixels // modules.shape[0])
    return (255 * (1 - np.kron(modules, np.ones((each, each), np.uint8)))).astype(np.uint8)


def draw_prop(text: str, seed: int) -> Prop:
    """Draw a card for a short text, a phone for a long one, in a hand."""
    return _in_a_hand(_phone(text) if len(text) > _CARD_TEXT else _card(text, seed), len(text) > _CARD_TEXT)


def _rounded(picture: NDArray[Any], box: tuple[int, int, int, int], radius: int, colour: tuple[int, ...]) -> None:
    cv2 = load_cv2()
    left, top, right, bottom = box
    cv2.rectangle(picture, (left + radius, top), (right - radius, bottom), colour, -1)
    cv2.rectangle(picture, (left, top + radius), (right, bottom - radius), colour, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(picture, (x, y), radius, colour, -1, cv2.LINE_AA)


def _paste_code(picture: NDArray[Any], text: str, middle: tuple[int, int], pixels: int) -> None:
    code = code_picture(text, pixels)
    side = code.shape[0]
    left, top = middle[0] - side // 2, middle[1] - side // 2
    picture[top : top + side, left : left + side, :3] = code[:, :, None]


def _card(text: str, seed: int) -> NDArray[Any]:
    """Draw a plastic card, 860 by 540."""
    import numpy as np

    cv2 = load_cv2()
    colours = ((122, 74, 36), (66, 98, 40), (52, 52, 128), (110, 52, 92))
    card = np.zeros((540, 860, 4), np.uint8)
    _rounded(card, (0, 0, 859, 539), 34, (*colours[seed % len(colours)], 255))
    band = card.copy()
    cv2.ellipse(band, (120, 620), (560, 420), 0, 0, 360, (*(min(255, c + 34) for c in colours[seed % 4]), 255), -1)
    card[:, :, :3] = np.where(card[:, :, 3:4] > 0, band[:, :, :3], 0)
    _rounded(card, (400, 60, 820, 480), 16, (252, 252, 252, 255))
    _paste_code(card, text, (610, 270), 408)
    cv2.putText(card, "GUEST", (44, 110), cv2.FONT_HERSHEY_DUPLEX, 2.0, (240, 240, 240, 255), 3, cv2.LINE_AA)
    cv2.putText(card, "CARD", (44, 180), cv2.FONT_HERSHEY_DUPLEX, 2.0, (240, 240, 240, 255), 3, cv2.LINE_AA)
    cv2.putText(card, text[:14], (44, 480), cv2.FONT_HERSHEY_SIMPLEX, 1.05, (225, 225, 225, 255), 2, cv2.LINE_AA)
    return card


def _phone(text: str) -> NDArray[Any]:
    """Draw a phone with the guest's page on it, 560 by 1120."""
    import numpy as np

    cv2 = load_cv2()
    phone = np.zeros((1120, 560, 4), np.uint8)
    _rounded(phone, (0, 0, 559, 1119), 64, (34, 32, 30, 255))
    _rounded(phone, (16, 18, 543, 1101), 50, (250, 250, 250, 255))
    cv2.rectangle(phone, (16, 70), (543, 200), (122, 74, 36, 255), -1)
    _rounded(phone, (210, 30, 350, 56), 13, (30, 30, 30, 255))
    cv2.putText(phone, "My points", (50, 155), cv2.FONT_HERSHEY_DUPLEX, 1.7, (255, 255, 255, 255), 3, cv2.LINE_AA)
    _paste_code(phone, text, (280, 490), 520)
    cv2.putText(phone, "Show this code", (118, 830), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (60, 60, 60, 255), 3, cv2.LINE_AA)
    for row, wide in enumerate((400, 330, 250)):
        cv2.rectangle(
            phone, (280 - wide // 2, 890 + 56 * row), (280 + wide // 2, 912 + 56 * row), (214, 214, 214, 255), -1
        )
    return phone


def _in_a_hand(thing: NDArray[Any], is_phone: bool) -> Prop:
    """Fingers behind, the thing, the thumb on its edge; never over the code."""
    import numpy as np

    cv2 = load_cv2()
    tall, wide = thing.shape[:2]
    side, above, below = 260, 60, 760
    picture = np.zeros((above + tall + below, wide + 2 * side, 4), np.uint8)
    left, top = side, above
    right, bottom = left + wide, top + tall
    grip = bottom - (330 if is_phone else 120)
    skin, dark, sleeve = (*_SKIN, 255), (*_SKIN_DARK, 255), (*_SLEEVE, 255)
    wrist = grip + 210
    arm = np.array(
        [
            [right - 176, wrist + 40],
            [right + 104, wrist - 20],
            [right + 240, bottom + below],
            [right - 190, bottom + below],
        ]
    )
    cv2.fillPoly(picture, [arm], skin, cv2.LINE_AA)
    cuff = np.array(
        [
            [right - 236, bottom + 430],
            [right + 196, bottom + 350],
            [right + 256, bottom + below],
            [right - 230, bottom + below],
        ]
    )
    cv2.fillPoly(picture, [cuff], sleeve, cv2.LINE_AA)
    palm = (right - 40, grip + 150)
    cv2.ellipse(picture, palm, (152, 216), 12, 0, 360, skin, -1, cv2.LINE_AA)
    if is_phone:
        for finger in range(4):
            cv2.ellipse(picture, (left + 4, grip - 190 + 96 * finger), (62, 40), 8, 0, 360, dark, -1, cv2.LINE_AA)
    else:
        cv2.ellipse(picture, (right - 150, bottom + 30), (200, 74), -8, 0, 360, dark, -1, cv2.LINE_AA)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    solid = thing[:, :, 3:4] > 0
    part = picture[top:bottom, left:right]
    part[:] = np.where(solid, thing, part)
    thumb = picture.copy()
    reach = 44 if is_phone else 26
    cv2.ellipse(thumb, (right + 34, grip + 60), (reach + 70, 44), 38, 0, 360, skin, -1, cv2.LINE_AA)
    nail = (right - reach // 2, grip + 28 - reach // 4)
    cv2.ellipse(thumb, nail, (24, 18), 38, 0, 360, (176, 196, 226, 255), -1, cv2.LINE_AA)
    thumb = cv2.GaussianBlur(thumb, (0, 0), 2)
    over = np.zeros(picture.shape[:2], np.uint8)
    cv2.ellipse(over, (right + 34, grip + 60), (reach + 74, 48), 38, 0, 360, 255, -1)
    picture = np.where(over[:, :, None] > 0, thumb, picture)
    scale = 0.42 if is_phone else 0.52
    small = cv2.resize(picture, None, fx=scale * 1.25, fy=scale * 1.25, interpolation=cv2.INTER_AREA)
    ratio = scale * 1.25
    return Prop(small, ((left + wide / 2) * ratio, (top + tall / 2) * ratio), 1 / 1.25)
