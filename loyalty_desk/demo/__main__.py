"""`make demo`: the main job, left to whoever sits at a display, played where there is none; then a day next door."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from loyalty_desk.demo.day import Day
from loyalty_desk.demo.line import Line, NotSo, Story
from loyalty_desk.demo.processes import ProcessFailed, command, start
from loyalty_desk.demo.stage import DemoGuest, Stage
from loyalty_desk.demo.till_process import TillProcess
from loyalty_desk.language import choose


def main(arguments: Sequence[str]) -> int:
    """Return 0 when all went as it must; `--offscreen` plays it even where there is a display."""
    here = Path.cwd()
    offscreen = "--offscreen" in arguments or not _has_display()
    stage = Stage(here / ".loyalty-desk" / "demo", say=lambda line: print(f"==> {line}", flush=True))
    try:
        guests = stage.prepare()
        if offscreen:
            return _play(stage, guests, here / "demo-output")
        return _leave_to_visitor(stage, guests)
    except KeyboardInterrupt:
        print("\n==> Stopped")
        return 130
    except (NotSo, ProcessFailed, TimeoutError) as error:
        print(f"==> The demo stopped: {error}", file=sys.stderr)
        print(f"    Logs are in {stage.folder}. `make clean-demo` begins afresh.", file=sys.stderr)
        return 1
    finally:
        stage.close()


def _play(stage: Stage, guests: list[DemoGuest], output: Path) -> int:
    print("==> No display: playing the whole line offscreen", flush=True)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**stage.environment, **offscreen_screen(Path(folder))}
        till = TillProcess(stage.till_dir, environment, stage.folder / "till.log", language=choose())
        story = Story(output, say=lambda line: print(line, flush=True))
        try:
            Line(stage, till, story, guests).play()
        finally:
            till.kill()
    story.tell("")
    print("==> The window is closed. Next door, a day of the second store", flush=True)
    statement = Day(stage, guests, say=story.tell).play()
    print(f"==> {story.pictures} screenshots and a transcript: {output}")
    print(statement.verified)
    return 0


TIPS = {
    "ru": "Подождите, пока гость поднесёт карту. Сумма, F4 и баллы, Enter.",
    "en": "Wait for a guest to show a card. Then the amount, F4 and points, Enter.",
}


def _leave_to_visitor(stage: Stage, guests: list[DemoGuest]) -> int:
    language = choose()
    camera = os.environ.get("CAMERA", "")
    print("==> Opening the till. Close its window, or press Ctrl-C here, to end the demo.")
    print("    Wait for a guest to show a card, or scan your own QR; type an amount; F4 for points; Enter.")
    print(f"    A member number to type: {guests[-2].member_no}")
    print("    Press Enter here to stop the server and see the till go on without it; Enter again to start it.")
    if camera:
        arguments = [*command("loyalty-desk"), "run", "--camera", camera, "--tip", TIPS[language]]
    else:
        cards = [guest.card for guest in guests]
        arguments = [sys.executable, "-m", "loyalty_desk.demo.visitor"]
        arguments += [str(stage.till_dir), language, TIPS[language], *cards]
    with (stage.folder / "till.log").open("ab") as log:
        till = start(arguments, stage.environment, stderr=log)
    lines: queue.Queue[None] = queue.Queue()
    threading.Thread(target=_hear_enter, args=(lines,), daemon=True).start()
    try:
        while till.poll() is None:
            try:
                lines.get(timeout=0.2)
            except queue.Empty:
                continue
            _toggle(stage)
        if till.returncode != 0:
            return till.returncode
    finally:
        if till.poll() is None:
            till.terminate()
            till.wait(20)
    if not stage.server.is_running:
        _toggle(stage)
    print("==> The window is closed. Next door, a day of the second store; Ctrl-C leaves it out.", flush=True)
    Day(stage, guests, say=lambda line: print(line, flush=True)).play()
    return 0


def _hear_enter(lines: queue.Queue[None]) -> None:
    for _line in sys.stdin:
        lines.put(None)


def _toggle(stage: Stage) -> None:
    if not stage.server.is_running:
        stage.server.start()
        print("==> The server is back: what waited is being sent.")
    else:
        stage.server.stop()
        print("==> The server is stopped. Sell on; press Enter here to start it again.")


def offscreen_screen(folder: Path) -> dict[str, str]:
    """Return the environment of a screen of 1024 by 768 that nobody sees; its description is written to `folder`."""
    screen = folder / "screen.json"
    screen.write_text(
        '{"screens":[{"name":"till","x":0,"y":0,"width":1024,"height":768,'
        '"logicalDpi":96,"logicalBaseDpi":96,"dpr":1}]}'
    )
    return {"QT_QPA_PLATFORM": f"offscreen:configfile={screen}"}


def _has_display() -> bool:
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
