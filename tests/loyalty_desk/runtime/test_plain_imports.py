"""What the till's start leaves of PySide's hook into `import`."""

import subprocess
import sys


def test_a_start_leaves_pythons_own_import_in_place() -> None:
    asked = (
        "import builtins; own = builtins.__import__\n"
        "import loyalty_desk.app\n"
        "from PySide6.QtWidgets import QApplication\n"
        "print(builtins.__import__ is own)"
    )
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True"
