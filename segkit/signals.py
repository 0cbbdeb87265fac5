"""Ctrl-C, SIGTERM and a hang-up end the command, once and in order, whatever it computes.

The first signal interrupts what is being computed; from then on the command ends, and further
signals change nothing.
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
# What has not answered by then sits in compiled code, perhaps for minutes; those who stop services
# wait 30 s and more.
GRACE_SECONDS = 10.0
_STEP_SECONDS = 0.2
# Code of a library may swallow an interrupt, so another signal raises it again, but not while the
# first one passes.
_AGAIN_SECONDS = 1.0


class _State:
    """What the process was told, and how far it is in ending."""

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
    """Have the signals raise KeyboardInterrupt; the process ends even if that is not heard within the grace period."""
    _state.ending.clear()
    _state.pending = False
    _state.raised = float("-inf")
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is None:
            continue
        # nohup, and a shell for its background jobs, have them ignored on purpose.
        if name != "SIGTERM" and signal.getsignal(number) is signal.SIG_IGN:
            continue
        signal.signal(number, _interrupt)
    if not _state.watched:
        _state.watched = True
        numbers, _state.wakeup = _pipe()
        # Written by the system's handler itself, when Python's cannot run because the main thread
        # is in compiled code.
        signal.set_wakeup_fd(_state.wakeup, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(numbers,), name="signals", daemon=True).start()


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe; writing to it never waits."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    return reading, writing


def _interrupt(_signal: int, _frame: object) -> None:
    if _state.abandoned:
        # The other thread is about to end the process.
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
    """Whether an interrupt was raised: what failed since may have failed for it, in a library that swallowed it."""
    return _state.raised > float("-inf")


def end() -> None:
    """Take note that the command ends: no further signal raises anything."""
    _state.ending.set()


def done() -> None:
    """Have the rest left alone: at its end Python takes its handlers away, and a signal would be a crash."""
    end()
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def ends_here() -> Iterator[None]:
    """Have an interrupt of the block be the last one: what is written after it is written whole."""
    try:
        yield
    except KeyboardInterrupt:
        end()
        raise


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back while the block writes what belongs together; one that came is raised after it."""
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
    """Say or do something if the process must be ended within the block.

    Parameters
    ----------
    words
        A message for stderr; or an action, which is called in another thread while the main one is
        in compiled code, and must not take long.
    """
    _state.last_words.append(words)
    try:
        yield
    finally:
        _state.last_words.remove(words)


def _watch(numbers: int) -> None:
    """End the process where a signal is not answered."""
    while True:
        number = os.read(numbers, 1)[0]
        _beat()
        # Other signals arrive here too, such as that of a child's end.
        if signal.getsignal(number) is _interrupt and not _answered():
            _abandon()


def _beat() -> None:
    """Show the guard that Python runs."""
    if _state.heartbeat is not None:
        with contextlib.suppress(OSError):
            os.write(_state.heartbeat, b".")


def _answered() -> bool:
    left = GRACE_SECONDS
    while left > 0:
        answered = _state.ending.wait(_STEP_SECONDS)
        _beat()
        if answered:
            return True
        if not _state.held:
            left -= _STEP_SECONDS
    return False


# Passes the numbers of signals on to the thread of the guarded process. A thread that is silent
# after one waits for the interpreter's lock, which then only an end from outside takes away.
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
    """Have another process end this one if a signal finds the interpreter's lock held for good.

    Code that never gives the lock back keeps every thread of this process from running, the one
    that watches over signals included. Then only SIGKILL ends it, and of the last words those are
    written that are known beforehand. Does nothing where the signals were not installed.
    """
    if not _state.watched:
        yield
        return
    numbers, wakeup = _pipe()
    beats, _state.heartbeat = _pipe()
    message = [words for words in ["interrupted", *_state.last_words] if isinstance(words, str)][-1]
    handled = [
        number for number in signal.valid_signals() if signal.getsignal(number) is _interrupt
    ]
    arguments = [
        _line(message),
        GRACE_SECONDS,
        os.getpid(),
        numbers,
        _state.wakeup,
        beats,
        *handled,
    ]
    guard = subprocess.Popen(
        # Isolated, and without site-packages: it starts in some 10 ms and runs nobody else's code.
        [sys.executable, "-I", "-S", "-c", _GUARD, *map(str, arguments)],
        pass_fds=[numbers, _state.wakeup, beats],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # A terminal's Ctrl-C goes to the whole group.
        start_new_session=True,
    )
    os.close(numbers)
    os.close(beats)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(_state.wakeup, warn_on_full_buffer=False)
        os.close(wakeup)
        heartbeat, _state.heartbeat = _state.heartbeat, None
        os.close(heartbeat)
        guard.wait()


def _abandon() -> None:
    _state.abandoned = True
    message = "interrupted"
    for words in _state.last_words:
        if isinstance(words, str):
            message = words
            continue
        # Nothing that goes wrong here may keep the process from ending.
        with contextlib.suppress(Exception):
            words()
    with contextlib.suppress(OSError):
        os.write(2, _line(message).encode())
    os._exit(INTERRUPTED)


def _line(message: str) -> str:
    return f"segkit: error: {message}\n"
