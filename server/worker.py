"""What a granian worker loads: the application, in a process that does not outlive the server that started it."""

from __future__ import annotations

import os
import signal
import sys
import zoneinfo

from loyalty_desk.rubbish import look_seldom
from server.app import create_app
from server.kit.logging import configure
from server.kit.process import die_with_parent
from server.settings import PARENT, Settings

if PARENT in os.environ:
    # A server that is killed could not end its workers: they would hold the port. First the request to be told, then
    # the look whether it was too late for that: a parent killed while this was imported has told nobody.
    die_with_parent(signal.SIGTERM)
    if os.environ[PARENT] != str(os.getppid()):
        sys.exit("the server that started this worker has ended")
zoneinfo.reset_tzpath(to=())  # a worker is a new process: see `server.cli`
_settings = Settings()
configure(dev=_settings.dev)
# A server prices again in a process beside its workers; a worker that nobody started has to do it itself.
app = create_app(_settings, prices_again=PARENT not in os.environ)
# A batch of 500 sales makes 100 000 objects that die together: collecting at every 2 000 took a quarter of its time.
look_seldom()
