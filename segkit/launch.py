"""A launch from the plan to the report: run the study, write its report, say how it went."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from segkit import signals
from segkit.errors import SegkitError
from segkit.files import DiskFull
from segkit.progress import progress, work_line
from segkit.study import sweep
from segkit.study.keep.study_folder import claimed
from segkit.study.run.scheduler import check_scheduler
from segkit.terminal import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from segkit.study.keep.finished import Finished
    from segkit.study.run.preparation import Prepared

Tell = Callable[[str], None]


class Stopped(SegkitError):
    """A launch that a full disk ended early; the message names the command that resumes it."""


class Interrupted(Stopped):
    """A launch that a signal ended early; the message names the command that resumes it."""


def launch(prepared: Prepared, arguments: Sequence[str], quiet: bool, tell: Tell) -> Finished:
    """Run a study and write its folder, with the report.

    Parameters
    ----------
    prepared
        The study.
    arguments
        The program and its arguments as the system passed them (``sys.argv``).
    quiet
        Whether to leave out progress and the summary of the work.
    tell
        Prints one line of warning or advice.

    Raises
    ------
    Interrupted, Stopped
        If a signal or a full disk ended the launch.
    UsageError
        If the scheduler, the store or the study's folder cannot be used.
    """
    # First of all, so that an address that cannot be used is one line and leaves no study's folder.
    prepared.store.prepare()
    check_scheduler(prepared.engine, str(prepared.store.root))
    for warning in prepared.warnings:
        tell(f"warning: {warning}")
    with claimed(prepared) as ready:
        finished = _run(ready, arguments, quiet)
        for line in _summary(finished, quiet):
            tell(line)
        _write_report(finished, ready.engine.n_workers, arguments[0], tell)
    return finished


def _run(prepared: Prepared, arguments: Sequence[str], quiet: bool) -> Finished:
    """Run the study; an error that ends it early names the command that resumes it."""
    resume = resume_command(prepared, arguments)
    interrupted = (
        f"interrupted; what was finished is kept for {prepared.folder}; resume with: {resume}"
    )
    try:
        with signals.last_words(interrupted), signals.ends_here():
            return sweep.launch(prepared, ["segkit", *arguments[1:]], progress(quiet))
    except KeyboardInterrupt:
        raise Interrupted(interrupted) from None
    except Exception as error:
        # A library may have turned the interrupt into an error of its own.
        if signals.came():
            raise Interrupted(interrupted) from None
        if isinstance(error, DiskFull):
            message = f"disk full: {error}; make room, then resume with: {resume}"
            raise Stopped(message) from error
        raise


def _summary(finished: Finished, quiet: bool) -> list[str]:
    """Return the lines that say how the runs went: the work (unless ``quiet``), then warnings."""
    lines = []
    work = work_line(finished.work)
    if work and not quiet:
        lines.append(work)
    if finished.counts["skipped"] == len(finished.runs):
        reason = finished.runs["reason"].mode().iloc[0]
        lines.append(f"warning: no run can be done; the most frequent reason: {reason}")
    if finished.damaged:
        kinds = ", ".join(f"{count} {kind}" for kind, count in finished.damaged.items())
        lines.append(
            f"warning: stored results were damaged and dropped ({kinds}); what this study needs "
            "was computed again"
        )
    if finished.lost_stages:
        lines.append(
            f"warning: {finished.lost_stages} stages of the confirmation failed; "
            f"segkit status {finished.folder} tells why"
        )
    return lines


def _write_report(finished: Finished, workers: int, program: str, tell: Tell) -> None:
    """Write the tables that the report reads, seal the study, then write the report."""
    # Not before the runs are there: a scheduler that cannot be reached is reported at once.
    from segkit import report
    from segkit.segments.write_profiles import write_profiles
    from segkit.segments.write_silhouettes import write_silhouettes
    from segkit.study.keep.published import seal

    command = shlex.join([*_program(program), "report", str(finished.folder)])
    advice = f"the runs are all there; write the report with: {command}"
    interrupted = f"interrupted; {advice}"
    try:
        with signals.last_words(interrupted), signals.ends_here():
            write_profiles(finished, workers=workers)
            write_silhouettes(finished)
            seal(finished.folder)
            report.build(finished.folder, tell=lambda line: tell(one_line(line)))
    except KeyboardInterrupt:
        raise Interrupted(interrupted) from None
    except BaseException:
        tell(advice)
        raise


def resume_command(prepared: Prepared, arguments: Sequence[str]) -> str:
    """Return the command that resumes a study in its folder, quoted for a shell.

    Parameters
    ----------
    prepared
        The study, with the folder that was made for it.
    arguments
        The program and its arguments as the system passed them (``sys.argv``).
    """
    forced = "--force" in arguments
    # The folder may have been the dated default, or named with the time of the launch.
    replaced = r"\+*(hydra\.sweep\.dir|store)=" if forced else r"\+*hydra\.sweep\.dir="
    kept_arguments = [
        text for text in arguments[1:] if text != "--force" and not re.match(replaced, text)
    ]
    places = [f"hydra.sweep.dir={_hydra_path(prepared.folder)}"]
    if forced:
        # A forced study has a store of its own: forced again, it would compute everything again.
        places.append(f"store={_hydra_path(prepared.store.root)}")
    return shlex.join([*_program(arguments[0]), *kept_arguments, *places])


def _hydra_path(path: Path) -> str:
    """Return a path as Hydra reads it: quoted if it holds other characters than plain ones."""
    text = str(path)
    if re.fullmatch(r"[\w./+-]+", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _program(path: str) -> list[str]:
    """Return how to call this program again: by its name if a shell finds it, else by its file."""
    if path.endswith(".py"):  # python -m segkit.cli
        return [sys.executable, "-m", "segkit.cli"]
    on_path = shutil.which("segkit")
    if on_path is not None and os.path.realpath(on_path) == os.path.realpath(path):
        return ["segkit"]
    return [path]
