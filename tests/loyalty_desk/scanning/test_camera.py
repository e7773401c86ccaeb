"""The worker against sources and decoders that fail in every way; its time limits are shortened."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from loyalty_desk.scanning.camera import CameraState, CameraStatus, CameraWorker, Preview, Timings
from loyalty_desk.scanning.decoding import CascadeDecoder, Reading
from loyalty_desk.scanning.frames import EndOfFramesError, FrameSource, Pictures, SourceUnavailableError
from loyalty_desk.scanning.simulated import SimulatedWebcam
from loyalty_desk.services.ports.scan import Scan, ScanSource

Frame = NDArray[np.uint8]
DEADLINE = 20.0
QUICK = Timings(
    silence=0.25,
    standstill=0.25,
    opening=0.5,
    backoff=(0.05, 0.1, 0.2),
    healthy_after=0.2,
    decode=0.15,
    tick=0.005,
    farewell=0.2,
)


class Watched:
    """Runs a worker in its thread and keeps all that it emits."""

    def __init__(self, worker: CameraWorker, *, paints: bool = True) -> None:
        self.scans: list[Scan] = []
        self.previews: list[Preview] = []
        self.states: list[CameraStatus] = []
        self.threads: set[str] = set()
        self.stop = threading.Event()
        self.changed = threading.Condition()
        self.worker = worker
        self.paints = paints
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.worker.run(self.stop, self._keep(self.scans), self._keep(self.previews), self._keep(self.states))

    def _keep[T](self, where: list[T]) -> Callable[[T], None]:
        def emit(item: T) -> None:
            with self.changed:
                self.threads.add(threading.current_thread().name)
                where.append(item)
                self.changed.notify_all()
            if isinstance(item, Preview) and self.paints:
                self.worker.preview_done()

        return emit

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), (self.states, self.scans)

    def until_state(self, state: CameraState, times: int = 1) -> None:
        self.until(lambda: [status.state for status in self.states].count(state) >= times)

    def end(self) -> float:
        started = time.monotonic()
        self.stop.set()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()
        return time.monotonic() - started


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    running: list[Watched] = []

    def start(worker: CameraWorker, *, paints: bool = True) -> Watched:
        running.append(Watched(worker, paints=paints))
        return running[-1]

    yield start
    for watched in running:
        watched.end()


class Stream:
    """Frames made by a function of their number, at most 200 a second; closed once, by the thread that read."""

    def __init__(self, source: "Source") -> None:
        self.source = source
        self.number = 0
        self.opened_by = threading.current_thread()

    def read(self) -> Frame | None:
        assert threading.current_thread() is self.opened_by
        self.source.pace.wait(0.005)
        self.number += 1
        return self.source.frame(self.number)

    def close(self) -> None:
        assert threading.current_thread() is self.opened_by
        self.source.closed += 1


class Source:
    """A camera that a test breaks. Frames count upwards in their first pixel."""

    name = "camera 7"
    may_stand_still = False

    def __init__(self, frame: Callable[[int], Frame | None] | None = None) -> None:
        self.pace = threading.Event()
        self.opened = 0
        self.closed = 0
        self.plugged = True
        self.frame = frame or numbered

    def present(self) -> bool:
        return self.plugged

    def open(self) -> Stream:
        self.opened += 1
        if not self.plugged:
            raise SourceUnavailableError("There is no camera 7.")
        return Stream(self)


def numbered(number: int) -> Frame:
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[0, 0] = (number & 255, number >> 8 & 255, number >> 16)
    return frame


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def number_of(frame: Frame) -> int:
    blue, green, red = (int(v) for v in frame[0, 0])
    return blue + (green << 8) + (red << 16)


def reading(data: bytes) -> Reading:
    return Reading(data, data.decode(), ((8.0, 8.0), (40.0, 8.0), (40.0, 40.0), (8.0, 40.0)), "fake")


class Decoder:
    """Reads whatever a test tells it to, from frames only (the warm-up picture is gray)."""

    def __init__(self, read: Callable[[Frame], list[Reading]]) -> None:
        self._read = read

    def decode(self, frame: Frame) -> list[Reading]:
        return self._read(frame) if frame.ndim == 3 else []


def worker(
    source: FrameSource, read: Callable[[Frame], list[Reading]] = lambda _: [], **options: object
) -> CameraWorker:
    return CameraWorker(source, make_decoder=lambda: Decoder(read), timings=QUICK, **options)  # type: ignore[arg-type]


def test_a_code_held_before_the_camera_is_one_scan_and_all_comes_from_one_thread(watch: Callable[..., Watched]) -> None:
    watched = watch(worker(Source(), lambda _: [reading(b"A")]))
    watched.until(lambda: bool(watched.scans) and len(watched.previews) > 3)
    watched.end()
    assert watched.scans == [Scan(b"A", ScanSource.CAMERA)]
    assert [status.state for status in watched.states] == [
        CameraState.STARTING,
        CameraState.RUNNING,
        CameraState.STOPPED,
    ]
    assert watched.threads == {"camera"}


def test_rearmed_a_code_still_in_sight_counts_again(watch: Callable[..., Watched]) -> None:
    watched = watch(worker(Source(), lambda _: [reading(b"A")]))
    watched.until(lambda: len(watched.scans) == 1)
    watched.worker.rearm()
    watched.until(lambda: len(watched.scans) == 2)


def test_after_a_time_out_of_sight_it_counts_again(watch: Callable[..., Watched]) -> None:
    """Seen in every fortieth frame, at least 0.2 s apart: each is a new showing."""
    often = worker(Source(), lambda f: [reading(b"A")] if number_of(f) % 40 == 0 else [], rearm_after=0.1)
    watched = watch(often)
    watched.until(lambda: len(watched.scans) == 3)


def test_a_slow_decoder_sees_the_newest_frame_only(watch: Callable[..., Watched]) -> None:
    source = Source()
    behind: list[int] = []
    newest = [0]

    def frame(number: int) -> Frame:
        newest[0] = number
        return numbered(number)

    source.frame = frame
    pause = threading.Event()

    def slow(picture: Frame) -> list[Reading]:
        behind.append(newest[0] - number_of(picture))
        pause.wait(0.06)
        return [reading(b"%d" % number_of(picture))]

    watched = watch(worker(source, slow))
    watched.until(lambda: len(watched.scans) >= 12)
    seen = [int(scan.data) for scan in watched.scans]
    assert seen == sorted(seen)
    assert seen[-1] > 3 * len(seen), "frames must have been left out"
    # A queue would be a hundred behind by now. Two may arrive while a thread is being woken.
    assert sorted(behind)[len(behind) // 2] <= 2


def test_a_decoder_that_hangs_is_replaced(watch: Callable[..., Watched], expect_log: Callable[[str], None]) -> None:
    expect_log("left behind")
    hang = threading.Event()
    calls: list[int] = []

    def hangs_at_third(picture: Frame) -> list[Reading]:
        calls.append(number_of(picture))
        if len(calls) == 3:
            hang.wait(DEADLINE)
        return [reading(b"%d" % len(calls))] if len(calls) > 3 else []

    watched = watch(worker(Source(), hangs_at_third))
    watched.until(lambda: len(watched.scans) > 2)
    assert CameraState.STUCK not in [status.state for status in watched.states]
    hang.set()


def test_a_machine_that_stood_still_does_not_cost_the_decoder(watch: Callable[..., Watched]) -> None:
    stood_still, turns = [0.0], threading.Semaphore(0)

    def clock() -> float:
        if stood_still[0] and threading.current_thread().name == "camera":
            turns.release()
        return time.monotonic() + stood_still[0]

    def sleeps_through(picture: Frame) -> list[Reading]:
        if not stood_still[0]:
            stood_still[0] = 3600.0
            for _ in range(12):
                assert turns.acquire(timeout=DEADLINE)
        return [reading(b"AWAKE")]

    watched = watch(worker(Source(), sleeps_through, clock=clock))
    watched.until(lambda: len(watched.scans) > 0)


def test_what_a_slow_decoder_read_after_all_is_not_lost(
    watch: Callable[..., Watched], expect_log: Callable[[str], None]
) -> None:
    expect_log("left behind")
    late = threading.Event()
    first = threading.Event()

    def once(picture: Frame) -> list[Reading]:
        if first.is_set():
            late.set()
            return []
        first.set()
        assert late.wait(DEADLINE)
        return [reading(b"LATE")]

    watched = watch(worker(Source(), once))
    watched.until(lambda: [scan.data for scan in watched.scans] == [b"LATE"])


def test_decoders_that_always_hang_are_not_started_for_ever(
    watch: Callable[..., Watched], expect_log: Callable[[str], None]
) -> None:
    expect_log("left behind")
    hang = threading.Event()
    made: list[int] = []

    class Hanging:
        def decode(self, frame: Frame) -> list[Reading]:
            if frame.ndim == 3:
                hang.wait(DEADLINE)
            else:
                made.append(1)
            return []

    watched = watch(CameraWorker(Source(), make_decoder=Hanging, timings=QUICK))
    watched.until_state(CameraState.STUCK)
    before = len(watched.previews)
    watched.until(lambda: len(watched.previews) > before + 2)
    assert len(made) == QUICK.most_hung
    # When they come back after all, reading goes on.
    hang.set()
    watched.until_state(CameraState.RUNNING, times=2)


def test_a_decoder_that_cannot_be_made_is_told(
    watch: Callable[..., Watched], expect_log: Callable[[str], None]
) -> None:
    expect_log("no decoder could be made")

    def broken() -> Decoder:
        raise ImportError("No module named 'zxingcpp'")

    watched = watch(CameraWorker(Source(), make_decoder=broken, timings=QUICK))
    watched.until_state(CameraState.STUCK)
    assert "zxingcpp" in next(s.detail for s in watched.states if s.state is CameraState.STUCK)
    watched.until(lambda: len(watched.previews) > 1)


def test_a_decoder_that_raises_goes_on(watch: Callable[..., Watched], expect_log: Callable[[str], None]) -> None:
    expect_log("could not be decoded")

    def raises_at_first(picture: Frame) -> list[Reading]:
        if number_of(picture) < 20:
            raise ValueError("bad picture")
        return [reading(b"OK")]

    watched = watch(worker(Source(), raises_at_first))
    watched.until(lambda: bool(watched.scans))


@pytest.mark.parametrize(
    ("dies", "says"),
    [
        pytest.param(lambda n: numbered(n) if n < 10 else None, "gives no picture", id="failed reads"),
        pytest.param(lambda n: numbered(min(n, 10)), "repeats one picture", id="one picture for ever"),
    ],
)
def test_a_dying_camera_is_closed_and_opened_again(
    watch: Callable[..., Watched], dies: Callable[[int], Frame | None], says: str
) -> None:
    source = Source(dies)
    watched = watch(worker(source))
    watched.until_state(CameraState.LOST)
    assert says in next(s.detail for s in watched.states if s.state is CameraState.LOST)
    source.frame = numbered
    watched.until_state(CameraState.RUNNING, times=2)
    assert source.closed == source.opened - 1


def test_two_failed_reads_are_not_a_loss(watch: Callable[..., Watched]) -> None:
    source = Source(lambda n: None if n % 5 < 2 else numbered(n))
    watched = watch(worker(source, lambda f: [reading(b"%d" % number_of(f))]))
    watched.until(lambda: len(watched.scans) > 20)
    assert source.opened == 1


def test_a_read_that_hangs_is_left_behind_and_closes_its_own_stream(watch: Callable[..., Watched]) -> None:
    stuck = threading.Event()
    source = Source()
    hung: list[int] = []

    def frame(number: int) -> Frame:
        if number == 5 and not hung:
            hung.append(1)
            stuck.wait(DEADLINE)
        return numbered(number)

    source.frame = frame
    watched = watch(worker(source))
    watched.until_state(CameraState.RUNNING, times=2)
    assert "nothing for" in next(s.detail for s in watched.states if s.state is CameraState.LOST)
    assert (source.opened, source.closed) == (2, 0)
    stuck.set()
    poll(lambda: source.closed == 1)
    assert source.opened == 2


def test_a_driver_that_raises_is_a_loss(watch: Callable[..., Watched], expect_log: Callable[[str], None]) -> None:
    expect_log("reading camera 7 failed")
    broken = [True]

    def frame(number: int) -> Frame:
        if number == 4 and broken.pop():
            broken.append(False)
            raise RuntimeError("ioctl")
        return numbered(number)

    watched = watch(worker(Source(frame)))
    watched.until_state(CameraState.LOST)
    watched.until_state(CameraState.RUNNING, times=2)


def test_an_absent_camera_is_awaited_with_growing_pauses_and_opened_when_plugged_in(
    watch: Callable[..., Watched],
) -> None:
    source = Source()
    source.plugged = False
    patient = Timings(backoff=(0.02, 0.04, 60.0), tick=0.005, farewell=0.2)
    watched = watch(CameraWorker(source, make_decoder=lambda: Decoder(lambda _: []), timings=patient))
    watched.until_state(CameraState.LOST, times=3)
    assert "There is no camera 7." in [status.detail for status in watched.states]
    source.plugged = True
    plugged = time.monotonic()
    watched.until_state(CameraState.RUNNING)
    assert time.monotonic() - plugged < 10, "it must not wait for the minute of its backoff"


def test_the_pauses_start_small_again_after_a_healthy_time(watch: Callable[..., Watched]) -> None:
    """Lost five times, healthy in between: with pauses that only grow, the last one would be a minute."""
    source = Source(lambda n: numbered(n) if n < 80 else None)
    timings = Timings(backoff=(0.02, 60.0), healthy_after=0.05, tick=0.005, farewell=0.2)
    watched = watch(CameraWorker(source, make_decoder=lambda: Decoder(lambda _: []), timings=timings))
    watched.until_state(CameraState.RUNNING, times=4)


def test_opening_for_ever_is_given_up(watch: Callable[..., Watched]) -> None:
    stuck = threading.Event()

    class Sleepy(Source):
        def open(self) -> Stream:
            if self.opened == 0:
                self.opened += 1
                stuck.wait(DEADLINE)
            return super().open()

    watched = watch(worker(Sleepy()))
    watched.until_state(CameraState.RUNNING)
    assert "does not open" in next(s.detail for s in watched.states if s.state is CameraState.LOST)
    stuck.set()


def test_only_one_preview_is_on_its_way(watch: Callable[..., Watched]) -> None:
    watched = watch(worker(Source(), lambda f: [reading(b"%d" % number_of(f))]), paints=False)
    watched.until(lambda: len(watched.scans) > 40)
    assert len(watched.previews) == 1
    watched.worker.preview_done()
    watched.until(lambda: len(watched.previews) == 2)


def test_a_window_that_never_answers_gets_a_preview_a_second(watch: Callable[..., Watched]) -> None:
    watched = watch(worker(Source()), paints=False)
    watched.until(lambda: len(watched.previews) == 2)


def test_a_preview_is_a_small_copy_with_the_code_of_its_own_frame(watch: Callable[..., Watched]) -> None:
    def frame(number: int) -> Frame:
        picture = np.full((64, 96, 3), number & 255, np.uint8)
        picture[0, 0] = numbered(number)[0, 0]
        return picture

    def read(picture: Frame) -> list[Reading]:
        return [reading(b"A")] if number_of(picture) >= 60 else []

    watched = watch(worker(Source(frame), read, preview_width=48))
    watched.until(lambda: any(preview.new for preview in watched.previews))
    flash = next(preview for preview in watched.previews if preview.new)
    assert flash.frame.shape == (32, 48, 3)
    assert flash.frame.flags["C_CONTIGUOUS"]
    assert flash.frame.flags["OWNDATA"]
    assert flash.codes == (((4.0, 4.0), (20.0, 4.0), (20.0, 20.0), (4.0, 20.0)),)
    assert int(flash.frame[16, 24, 0]) == 60, "the flash shows the frame that was read"
    assert not any(preview.codes for preview in watched.previews[: watched.previews.index(flash)])


def test_a_gray_source_gives_colour_previews(watch: Callable[..., Watched]) -> None:
    watched = watch(worker(Source(lambda n: np.full((50, 60), n & 255, np.uint8))))
    watched.until(lambda: bool(watched.previews))
    assert watched.previews[0].frame.shape == (50, 60, 3)


def test_a_file_ends_after_its_last_frame_was_decoded() -> None:
    class Film(Source):
        may_stand_still = True

    def three(number: int) -> Frame:
        if number > 3:
            raise EndOfFramesError
        return numbered(number)

    scans: list[Scan] = []
    states: list[CameraStatus] = []
    worker(Film(three), lambda f: [reading(b"%d" % number_of(f))]).run(
        threading.Event(), scans.append, lambda _: None, states.append
    )
    assert scans[-1].data == b"3"
    assert states[-1].state is CameraState.ENDED


def test_stopping_is_quick_even_when_everything_hangs(expect_log: Callable[[str], None]) -> None:
    expect_log("left behind")
    hang = threading.Event()

    def frame(number: int) -> Frame:
        if number == 3:
            hang.wait(DEADLINE)
        return numbered(number)

    def hangs(picture: Frame) -> list[Reading]:
        hang.wait(DEADLINE)
        return []

    watched = Watched(worker(Source(frame), hangs))
    watched.until(lambda: bool(watched.previews))
    assert watched.end() < 5
    assert watched.states[-1].state is CameraState.STOPPED
    hang.set()


def test_a_worker_can_run_again(watch: Callable[..., Watched]) -> None:
    again = worker(Source(), lambda _: [reading(b"A")], rearm_after=0.0)
    for _ in range(2):
        watched = watch(again)
        watched.until(lambda watched=watched: bool(watched.scans))
        watched.end()


def test_a_card_shown_to_the_simulated_webcam_becomes_a_scan(watch: Callable[..., Watched]) -> None:
    webcam = SimulatedWebcam()
    watched = watch(CameraWorker(webcam, make_decoder=CascadeDecoder))
    watched.until_state(CameraState.RUNNING)
    webcam.show("LD104HMASW9NF6YY54")
    watched.until(lambda: bool(watched.scans))
    webcam.show(None)
    assert watched.scans == [Scan(b"LD104HMASW9NF6YY54", ScanSource.CAMERA)]
    watched.until(lambda: any(preview.new for preview in watched.previews))


def test_a_folder_of_pictures_becomes_scans(tmp_path: Path, code_picture: Callable[..., Frame]) -> None:
    for text in ("ONE", "TWO"):
        cv2.imwrite(f"{tmp_path}/{text}.png", code_picture(text, frame=(640, 480)))
    scans: list[Scan] = []
    source = Pictures(tmp_path, fps=10, seconds_each=0.5)
    CameraWorker(source).run(threading.Event(), scans.append, lambda _: None, lambda _: None)
    assert [scan.data for scan in scans] == [b"ONE", b"TWO"]
