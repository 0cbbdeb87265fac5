"""End the command in order on Ctrl-C, SIGTERM and a hang-up, whatever it is computing.

The first signal interrupts the computation. From then on the command ends, and further signals
have no effect.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

INTERRUPTED = 130
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# A main thread that has not answered by then is in compiled code, perhaps for minutes. Service
# managers wait 30 s and more before they kill, so there is time to say something first.
GRACE_SECONDS = 10.0
_STEP_SECONDS = 0.2
# A library may swallow an interrupt, so a later signal raises it again, but not while the first one
# is still on its way up.
_AGAIN_SECONDS = 1.0


class _State:
    """The signals received so far, and how far the process is in ending."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        self.abandoned = False
        self.held = 0
        self.pending = False
        self.raised = float("-inf")
        self.last_words: list[str | Callable[[], None]] = []
        self.watched = False
        self.wakeup = -1
        self.heartbeat: int | None = None


_state = _State()


def install() -> None:
    """Make the signals raise KeyboardInterrupt.

    If the main thread does not answer within the grace period, another thread ends the process.
    """
    _state.ending.clear()
    _state.pending = False
    _state.raised = float("-inf")
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is None:
            continue
        # nohup, and shells for their background jobs, ignore these signals on purpose.
        if name != "SIGTERM" and signal.getsignal(number) is signal.SIG_IGN:
            continue
        signal.signal(number, _interrupt)
    if not _state.watched:
        _state.watched = True
        numbers, _state.wakeup = _pipe()
        # The system's handler writes to it even while the main thread is in compiled code, when
        # Python's handlers cannot run.
        signal.set_wakeup_fd(_state.wakeup, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(numbers,), name="signals", daemon=True).start()


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe whose writing end never blocks."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    return reading, writing


def _interrupt(_signal: int, _frame: object) -> None:
    if _state.abandoned:
        # The watching thread is about to end the process.
        time.sleep(GRACE_SECONDS)
    if _state.ending.is_set():
        return
    if _state.held:
        _state.pending = True
        return
    now = time.monotonic()
    if now - _state.raised >= _AGAIN_SECONDS:
        _state.raised = now
        raise KeyboardInterrupt


def came() -> bool:
    """Return whether an interrupt was raised.

    If so, an exception may be that interrupt, which a library took for an error of its own.
    """
    return _state.raised > float("-inf")


def end() -> None:
    """Mark the command as ending: no further signal raises anything."""
    _state.ending.set()


def done() -> None:
    """Ignore all further signals.

    Python removes its handlers while it shuts down, and a signal would then look like a crash.
    """
    end()
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def ends_here() -> Iterator[None]:
    """Make an interrupt of the block the last one, so that later writing is not interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        end()
        raise


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back while the block writes; raise the interrupt after the block."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    if _state.pending and not _state.held:
        _state.pending = False
        raise KeyboardInterrupt


@contextlib.contextmanager
def last_words(words: str | Callable[[], None]) -> Iterator[None]:
    """Print or do something if the process has to be ended within the block.

    Parameters
    ----------
    words
        A message for stderr, or an action. The action is called in another thread while the main
        one is in compiled code, and must be quick.
    """
    _state.last_words.append(words)
    try:
        yield
    finally:
        _state.last_words.remove(words)


def _watch(numbers: int) -> None:
    """End the process if it does not answer a signal."""
    while True:
        number = os.read(numbers, 1)[0]
        _beat()
        # Other signals arrive here too, such as SIGCHLD.
        if signal.getsignal(number) is _interrupt and not _answered():
            _abandon()


def _beat() -> None:
    """Tell the guard that Python still runs."""
    if _state.heartbeat is not None:
        with contextlib.suppress(OSError):
            os.write(_state.heartbeat, b".")


def _answered() -> bool:
    """Wait for the command to end; return whether it does within the grace period."""
    left = GRACE_SECONDS
    while left > 0:
        answered = _state.ending.wait(_STEP_SECONDS)
        _beat()
        if answered:
            return True
        if not _state.held:
            left -= _STEP_SECONDS
    return False


# The guard passes signal numbers on to the watching thread of the guarded process. If that thread
# stays silent, it cannot get the interpreter's lock, and only a kill from outside helps.
_GUARD = """
import os, select, signal, sys
message = sys.argv[1]
grace = float(sys.argv[2])
parent, numbers, passed, beats, *handled = map(int, sys.argv[3:])
waiting = False
while True:
    ready = select.select([numbers, beats], [], [], grace if waiting else None)[0]
    if not ready:
        if os.getppid() == parent:
            try:
                os.write(2, message.encode())
            finally:
                os.kill(parent, signal.SIGKILL)
        break
    if beats in ready:
        if not os.read(beats, 4096):
            break
        waiting = False
    elif numbers in ready:
        arrived = os.read(numbers, 64)
        if not arrived:
            break
        os.write(passed, arrived)
        waiting = waiting or any(number in handled for number in arrived)
"""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let another process kill this one if a signal comes while the interpreter's lock is stuck.

    Compiled code that never releases the lock stops every thread of this process, the watching one
    included. Then only SIGKILL ends it, and only last words that are a message are printed. Does
    nothing if the signals were not installed.
    """
    if not _state.watched:
        yield
        return
    numbers, wakeup = _pipe()
    beats, _state.heartbeat = _pipe()
    message = "interrupted"
    for words in _state.last_words:
        if isinstance(words, str):
            message = words
    handled = [
        number for number in signal.valid_signals() if signal.getsignal(number) is _interrupt
    ]
    # In the order in which the guard reads them.
    arguments = [
        _line(message),
        GRACE_SECONDS,
        os.getpid(),
        numbers,
        _state.wakeup,
        beats,
        *handled,
    ]
    command = [
        # Isolated and without site-packages: starts in about 10 ms and runs no other code.
        *(sys.executable, "-I", "-S", "-c", _GUARD),
        *map(str, arguments),
    ]
    guard = None
    # Without a guard, where the system starts no more processes, only the thread watches.
    with contextlib.suppress(OSError):
        guard = subprocess.Popen(
            command,
            pass_fds=[numbers, _state.wakeup, beats],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # A terminal sends Ctrl-C to the whole process group, and the guard must survive it.
            start_new_session=True,
        )
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    os.close(numbers)
    os.close(beats)
    try:
        yield
    finally:
        signal.set_wakeup_fd(_state.wakeup, warn_on_full_buffer=False)
        os.close(wakeup)
        heartbeat, _state.heartbeat = _state.heartbeat, None
        if heartbeat is not None:
            os.close(heartbeat)
        if guard is not None:
            guard.wait()


def _abandon() -> None:
    """Say and do the last words, then end the process at once."""
    _state.abandoned = True
    message = "interrupted"
    for words in _state.last_words:
        if isinstance(words, str):
            message = words
            continue
        # No error here may keep the process from ending.
        with contextlib.suppress(Exception):
            words()
    with contextlib.suppress(OSError):
        os.write(2, _line(message).encode())
    os._exit(INTERRUPTED)


def _line(message: str) -> str:
    return f"segkit: error: {message}\n"
