import subprocess
import sys
from pathlib import Path

import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.store.lock import ProcessLock

HOLD = (
    "import sys; from pathlib import Path; from loyalty_desk.store.lock import ProcessLock\n"
    "lock = ProcessLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(Refused) as refused:
        ProcessLock(path)
    assert (refused.value.code, refused.value.facts["pid"]) == ("till_already_open", str(other.pid))
    other.kill()
    other.communicate()
    ProcessLock(path).release()


def test_one_process_can_take_it_again_after_release(tmp_path: Path) -> None:
    first = ProcessLock(tmp_path / "lock")
    with pytest.raises(Refused, match="till_already_open"):
        ProcessLock(tmp_path / "lock")
    first.release()
    first.release()
    ProcessLock(tmp_path / "lock").release()


def test_scenario_43_a_deleted_lock_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "till.lock"
    held = ProcessLock(path)
    path.unlink()
    with pytest.raises(Refused, match="till_already_open"):
        ProcessLock(path)
    with pytest.raises(Refused, match="till_already_open"):
        ProcessLock(path)
    held.release()
    ProcessLock(path).release()
