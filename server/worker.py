"""What a granian worker loads: the application, in a process that does not outlive the server that started it."""

from __future__ import annotations

import gc
import os
import signal

from server.app import create_app
from server.kit.logging import configure
from server.kit.process import die_with_parent
from server.settings import PARENT, Settings

if os.environ.get(PARENT) == str(os.getppid()):
    # A server that is killed could not end its workers: they would hold the port.
    die_with_parent(signal.SIGTERM)
_settings = Settings()
configure(dev=_settings.dev)
app = create_app(_settings)
# A batch of 500 sales makes 100 000 objects that die together: collecting at every 2 000 took a quarter of its time.
gc.freeze()
gc.set_threshold(100_000, 50, 50)
