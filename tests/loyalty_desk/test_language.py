r"""The catalogues: complete, and compiled when they are needed.

How `till.po` is brought up to date:

    pybabel -q extract -k t -k _ -k gettext -k ngettext:1,2 -o till.pot loyalty_desk/ui loyalty_desk/services \
        loyalty_desk/support_lines.py
    pybabel -q update --no-fuzzy-matching -D till -i till.pot -d resources/locale -l ru
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po

from loyalty_desk import assets, language

KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "t": None, "gettext": None, "ngettext": (1, 2)}
ROOT = Path(language.__file__).parent
OF_THE_KERNEL = {"explanation.py"}


def messages_in_the_sources() -> set[str | tuple[str, str]]:
    found: set[str | tuple[str, str]] = set()
    for folder in ("ui", "services"):
        for name, _, message, _, _ in extract_from_dir(
            ROOT / folder, method_map=[("**.py", "python")], keywords=KEYWORDS
        ):
            if name not in OF_THE_KERNEL:
                found.add(message if isinstance(message, str) else (message[0], message[1]))
    for _, message, _, _ in extract_from_file("python", ROOT / "support_lines.py", keywords=KEYWORDS):
        found.add(message if isinstance(message, str) else (message[0], message[1]))
    return found


def russian():  # type: ignore[no-untyped-def]
    with assets.path("locale", "ru", "LC_MESSAGES", "till.po").open("rb") as source:
        return read_po(source, locale="ru", domain="till")


def test_every_message_has_a_russian_translation_and_none_is_left_over() -> None:
    sources = messages_in_the_sources()
    kept = {m.id if isinstance(m.id, str) else tuple(m.id) for m in russian() if m.id}
    assert len(sources) > 150
    assert sources - kept == set()
    assert kept - sources == set()


def test_translations_are_whole_and_keep_their_names() -> None:
    for message in russian():
        if not message.id:
            continue
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        assert len(texts) == (3 if len(ids) == 2 else 1), message.id
        names = set(re.findall(r"{(\w+)}", ids[-1]))
        for text in texts:
            assert text.strip(), message.id
            assert set(re.findall(r"{(\w+)}", text)) == names, message.id
            assert not message.fuzzy


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        ("ru", {"LANG": "en_US.UTF-8"}, "ru"),
        ("", {"LANG": "ru_RU.UTF-8"}, "ru"),
        ("", {"LC_ALL": "en_GB.UTF-8", "LANG": "ru_RU.UTF-8"}, "en"),
        ("", {"LANGUAGE": "de:ru:en"}, "ru"),
        ("xx", {"LANG": "en_US"}, "en"),
    ],
)
def test_the_language_is_chosen(setting: str, environ: dict[str, str], expected: str) -> None:
    assert language.choose(setting, environ) == expected


def test_a_torn_compiled_catalogue_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(language, "cache_folder", lambda: tmp_path)
    language.catalogue.cache_clear()
    assert language.catalogue("till", "ru").gettext("Help") == "Помощь"
    compiled = next(tmp_path.glob("till-ru-*.mo"))
    good = compiled.read_bytes()
    for torn in (b"", good[:10], good[:300], b"\xde\x12\x04\x95" + b"\xff" * 40):
        compiled.write_bytes(torn)
        language.catalogue.cache_clear()
        assert language.catalogue("till", "ru").gettext("Help") == "Помощь"
        assert compiled.read_bytes() == good
    language.catalogue.cache_clear()


def test_a_home_that_cannot_be_written_to_still_speaks_russian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    monkeypatch.setattr(language, "cache_folder", lambda: blocked / "locale")
    language.catalogue.cache_clear()
    assert language.catalogue("till", "ru").gettext("Help") == "Помощь"
    language.catalogue.cache_clear()


def test_an_unknown_language_is_a_damaged_installation() -> None:
    with pytest.raises(assets.AssetMissingError):
        language.catalogue("till", "de")


def test_with_fresh_catalogues_nothing_imports_babel(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from loyalty_desk.services.wording import Words\n"
        "Words('ru').points(5)\n"
        "print('babel' in sys.modules)\n"
    )
    environ = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path), "PATH": ""}
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=environ, cwd=ROOT.parent, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True", "False"]
