"""Ctrl-C, SIGTERM and a hang-up end the command, once and in order, whatever it computes.

The first signal interrupts what is being computed; from then on the command ends, and further signals change nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

INTERRUPTED = 130
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# What has not answered by then sits in compiled code, perhaps for minutes; those who stop services wait 30 s and more.
GRACE_SECONDS = 10.0
_STEP_SECONDS = 0.2
# Code of a library may swallow an interrupt, so another signal raises it again, but not while the first one passes.
_AGAIN_SECONDS = 1.0


class _State:
    """What the process was told, and how far it is in ending."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        self.abandoned = False
        self.held = 0
        self.pending = False
        self.raised = float("-inf")
        self.last_words: list[Callable[[], str | None]] = []
        self.watched = False


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
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        # Written by the system's handler itself, when Python's cannot run because the main thread is in compiled code.
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(told,), name="signals", daemon=True).start()


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
def last_words(action: Callable[[], str | None]) -> Iterator[None]:
    """Have an action done if the process must be ended within the block; it may return what to tell.

    It is called in another thread, while the main one is in compiled code, and must not take long.
    """
    _state.last_words.append(action)
    try:
        yield
    finally:
        _state.last_words.remove(action)


def _watch(told: int) -> None:
    """End the process where a signal is not answered."""
    while True:
        number = os.read(told, 1)[0]
        # Other signals than those that are handled here are told of too, such as that of a child's end.
        if signal.getsignal(number) is _interrupt and not _answered():
            _abandon()


def _answered() -> bool:
    left = GRACE_SECONDS
    while left > 0:
        if _state.ending.wait(_STEP_SECONDS):
            return True
        if not _state.held:
            left -= _STEP_SECONDS
    return False


def _abandon() -> None:
    _state.abandoned = True
    message = "interrupted"
    for action in _state.last_words:
        # Nothing that goes wrong here may keep the process from ending.
        with contextlib.suppress(Exception):
            message = action() or message
    with contextlib.suppress(OSError):
        os.write(2, f"segkit: error: {message}\n".encode())
    os._exit(INTERRUPTED)
