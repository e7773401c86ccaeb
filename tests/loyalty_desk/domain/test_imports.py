"""The kernel is shared by till and server, so it may bring nothing along but `cryptography`."""

import json
import pkgutil
import subprocess
import sys

import loyalty_desk.domain

ASK = """
import importlib, json, sys
before = set(sys.modules)
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted({{m.partition(".")[0] for m in set(sys.modules) - before}})))
"""


def imported_by(modules: list[str]) -> set[str]:
    answer = subprocess.run(
        [sys.executable, "-c", ASK.format(modules=modules)], capture_output=True, text=True, check=True
    )
    return set(json.loads(answer.stdout))


def test_the_whole_kernel_loads_no_third_party_module_but_cryptography():
    modules = [m.name for m in pkgutil.walk_packages(loyalty_desk.domain.__path__, "loyalty_desk.domain.")]
    assert len(modules) > 5
    foreign = imported_by(modules) - set(sys.stdlib_module_names) - {"loyalty_desk"}
    # The others are parts of cryptography: its bindings and how they are reached.
    assert foreign <= {"cryptography", "_cffi_backend", "cffi", "_openssl"}


def test_importing_the_package_alone_loads_nothing_foreign():
    assert imported_by(["loyalty_desk.domain"]) <= set(sys.stdlib_module_names) | {"loyalty_desk"}
