"""`make bench`: runs every bench in a process of its own and says what machine this is.

`make bench BENCH=till` runs `bench_till.py` alone. Figures are ratios within one run;
absolute times are printed beside them and depend on the machine and on what else it does.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    """Run the benches named, or all; return how many failed."""
    benches = sorted(HERE.glob("bench_*.py"))
    if wanted:
        benches = [bench for bench in benches if bench.stem.removeprefix("bench_") in wanted]
    if not benches:
        print(f"no bench of that name: {', '.join(wanted)}")
        return 2
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    print(f"Python {platform.python_version()}, {machine}, load {load}")
    failed = 0
    for bench in benches:
        print(f"\n== {bench.stem.removeprefix('bench_')}", flush=True)
        failed += subprocess.run([sys.executable, bench], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
