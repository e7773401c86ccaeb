"""`make demo`: the main job. With a display it is left to whoever sits there, without one it plays itself."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loyalty_desk.demo.line import Line, NotSo, Story
from loyalty_desk.demo.processes import ProcessFailed, command, start
from loyalty_desk.demo.stage import DemoGuest, Stage
from loyalty_desk.demo.till_process import TillProcess


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
        print(f"    Logs are in {stage.folder}. To begin afresh, remove that folder.", file=sys.stderr)
        return 1
    finally:
        stage.close()


def _play(stage: Stage, guests: list[DemoGuest], output: Path) -> int:
    print("==> No display: playing the whole line offscreen", flush=True)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**stage.environment, **offscreen_screen(Path(folder))}
        till = TillProcess(stage.till_dir, environment, stage.folder / "till.log")
        try:
            last = Line(stage, till, Story(output), guests).play()
        finally:
            till.kill()
    print(f"==> Screenshots and transcript: {output}")
    print(last)
    return 0


def _leave_to_visitor(stage: Stage, guests: list[DemoGuest]) -> int:
    print("==> Opening the till. Close its window, or press Ctrl-C here, to end the demo.")
    guest = guests[-2]
    print(f"    Try: wait for the card, type an amount, F4 and points, Enter. A member number: {guest.member_no}")
    print(f"    Try without the network: kill -STOP {stage.server.pid}, sell, then kill -CONT {stage.server.pid}")
    camera = os.environ.get("CAMERA") or f"simulated:{guest.card}"
    tip = "simulated" in camera
    process = start(
        [*command("loyalty-desk"), "run", "--camera", camera, *(["--demo-tip"] if tip else [])], stage.environment
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


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
