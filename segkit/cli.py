"""The command line: parses, calls, prints. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import shlex
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from segkit import signals, streams
from segkit.errors import UsageError, WorkersLost
from segkit.terminal import harmless, one_line
from segkit.version import __version__

if TYPE_CHECKING:
    from segkit.study.keep.writer import Finished
    from segkit.study.run.preparation import Prepared

DONE, NOT_ALL_THERE, WRONG_USAGE, INTERNAL, NOT_REPRODUCED = 0, 1, 2, 3, 5
INTERRUPTED = signals.INTERRUPTED

app = typer.Typer(
    name="segkit",
    help="Compare every way of segmenting a table of customers, honestly and reproducibly.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Options that Hydra's users know; everything else on the line is an override.
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="experiment=NAME, GROUP=OPTION, GROUP.PARAMETER=VALUE, a=x,y"),
]
ConfigDir = Annotated[
    Path | None, typer.Option("--config-dir", help="A folder of options of your own.")
]
Cfg = Annotated[
    str | None, typer.Option("--cfg", help="Print the configuration (job, hydra or all) and stop.")
]
Resolve = Annotated[
    bool, typer.Option("--resolve", help="With --cfg: with interpolations resolved.")
]
Help = Annotated[
    bool, typer.Option("--help", "-h", help="Options, experiments and how to override.")
]
Multirun = Annotated[bool, typer.Option("--multirun", "-m", hidden=True)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, and nothing on stdout but the result.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Compute everything anew, in a store of its own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's folder, or 'latest'.")]

# Typer brings its own copy of Click, or uses the installed one: by version.
_PARSER_ERROR = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
_HYDRA = {"ignore_unknown_options": False, "allow_interspersed_args": True}


def _version(wanted: bool) -> None:
    if wanted:
        print(f"segkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command(add_help_option=False, context_settings=_HYDRA)
def sweep(
    context: typer.Context,
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    cfg: Cfg = None,
    resolve: Resolve = False,
    help_: Help = False,
    _multirun: Multirun = False,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Run a study; resumes what is already stored."""
    if _shown(context, overrides, config_dir, cfg, resolve, help_):
        return DONE
    finished = _launch(_prepared(overrides, config_dir, again=force), quiet)
    if not quiet:
        from segkit.report.lines import lines
        from segkit.study.keep.reader import load_study

        print(*lines(load_study(finished.folder)), sep="\n")
    print(finished.folder)
    return DONE if finished.complete else NOT_ALL_THERE


@app.command(add_help_option=False, context_settings=_HYDRA)
def plan(
    context: typer.Context,
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    cfg: Cfg = None,
    resolve: Resolve = False,
    help_: Help = False,
    _multirun: Multirun = False,
    as_json: AsJson = False,
) -> int:
    """Say what a sweep would do: counts, what is stored, what is impossible, estimated time; runs nothing."""
    if _shown(context, overrides, config_dir, cfg, resolve, help_):
        return DONE
    from segkit.study.forecast import forecast, forecast_text

    found = forecast(_prepared(overrides, config_dir))
    print(json.dumps(found, indent=1) if as_json else forecast_text(found))
    return DONE


@app.command(add_help_option=False, context_settings=_HYDRA)
def run(
    context: typer.Context,
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    cfg: Cfg = None,
    resolve: Resolve = False,
    help_: Help = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Run one configuration and print its scores."""
    if _shown(context, overrides, config_dir, cfg, resolve, help_):
        return DONE
    from segkit.study.run.preparation import require_single

    # One run has nothing to be chosen from: it is only confirmed where that is asked for.
    prepared = _prepared(
        ["scoring.confirm=false", *(overrides or [])], config_dir, single=True, again=force
    )
    require_single(prepared)
    finished = _launch(prepared, quiet)
    row = json.loads(finished.runs.iloc[[0]].to_json(orient="records"))[0]
    if as_json:
        told = {"folder": str(finished.folder), "efficiency": finished.work["efficiency"]}
        print(json.dumps(row | told, indent=1))
    else:
        _print_row(row)
        print(finished.folder)
    return DONE if finished.complete else NOT_ALL_THERE


@app.command()
def status(study: StudyName, as_json: AsJson = False) -> int:
    """Tell a study's progress and its failures."""
    from segkit.study.keep.progress_file import read_going
    from segkit.study.keep.published import edited, edited_lines
    from segkit.study.keep.reader import find_study, state_of

    found = find_study(study)
    going = read_going(found.folder) if found.provenance["state"] == "running" else None
    counts = dict(found.provenance["counts"])
    runs = found.runs
    reasons = Counter(runs.loc[runs["status"] != "ok", "reason"].astype(str))
    told = {
        "folder": str(found.folder),
        "state": found.provenance["state"],
        "counts": counts,
        "efficiency": found.provenance.get("efficiency"),
        "progress": None if going is None else asdict(going),
        "reasons": [{"reason": reason, "runs": count} for reason, count in reasons.most_common()],
        "edited": edited(found.folder, found.provenance),
        "tracebacks": [text or "" for text in found.provenance["failures"].values()],
    }
    if as_json:
        print(json.dumps(told, indent=1))
        return DONE
    some = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    state = state_of(found.folder, told["state"]) if going is None else told["state"]
    # A study may be somebody else's: nothing in it steers the terminal or passes for another line.
    print(one_line(f"{state}: {some}"))
    if going is not None:
        print(*map(one_line, going.lines), sep="\n")
    for item in told["reasons"]:
        print(f"  {item['runs']:>6} x {one_line(item['reason'])}")
    for line in edited_lines(told["edited"]):
        print(one_line(f"warning: {line}"))
    for text in told["tracebacks"]:
        print(f"\n{harmless(text).rstrip()}")
    print(harmless(found.folder))
    return DONE


@app.command()
def report(
    study: StudyName,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    max_mb: Annotated[
        str | None,
        typer.Option(
            "--max-mb", metavar="MB", help="How large the page may be, else as the study says."
        ),
    ] = None,
    customers: Annotated[
        bool | None,
        typer.Option(
            "--customers/--no-customers",
            help="With the customers' ids and values, else as the study says.",
        ),
    ] = None,
) -> int:
    """Rebuild a study's report from its folder."""
    import segkit.report
    from segkit.study.keep.reader import find_study

    size = None if max_mb is None else _number(max_mb)
    page = segkit.report.build(
        find_study(study).folder, customers=customers, max_mb=size, tell=_tell
    )
    print(harmless(page))
    if open_:
        _open(page)
    return DONE


def _number(text: str) -> float | str:
    """Return the number that a text says; any other text as it is, for the option's own check to name it."""
    try:
        return float(text)
    except ValueError:
        return text


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        _tell(f"no browser was found on this machine; open {page} in one")


def _tell(line: str) -> None:
    print(f"segkit: {one_line(line)}", file=sys.stderr)


@app.command()
def reproduce(
    study: StudyName,
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's id or its first digits; else the recommended run."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Where the data file is on this machine.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Recompute a run from the raw data with an empty store: exact, equivalent or different."""
    from segkit.study.keep.reader import find_run, find_study
    from segkit.study.reproduce import DIFFERENT
    from segkit.study.reproduce import reproduce as recompute

    found_study = find_study(study)
    found = recompute(found_study, find_run(found_study, run_id), data)
    if as_json:
        print(json.dumps(found.as_dict(), indent=1))
    else:
        for stage in found.stages:
            print(
                f"{one_line(stage.stage):<29} {stage.verdict:<11} {one_line(stage.detail)}".rstrip()
            )
        for change in found.changed:
            print(f"changed: {one_line(change)}")
        print(f"run {found.run}: {found.verdict}")
    return NOT_REPRODUCED if found.verdict == DIFFERENT else DONE


def _shown(
    context: typer.Context,
    overrides: list[str] | None,
    config_dir: Path | None,
    cfg: str | None,
    resolve: bool,
    help_: bool,
) -> bool:
    """Print the help or the configuration if that is what was asked for."""
    if resolve and cfg is None:
        raise UsageError("--resolve: goes with --cfg job, hydra or all")
    if not help_ and cfg is None:
        return False
    from segkit.study import compose

    if help_:
        print(_usage(context), compose.help_text(config_dir), sep="\n\n")
    else:
        print(compose.job_config(overrides or [], config_dir, cfg, resolve))
    return True


def _usage(context: typer.Context) -> str:
    """Return how a command that takes overrides is called, and its options."""
    command = context.command
    shown = [
        item for item in command.params if item.param_type_name == "option" and not item.hidden
    ]
    named = {
        ", ".join(sorted(item.opts, key=len)) + ("" if item.is_flag else " ..."): item.help
        for item in shown
    }
    options = [f"  {name:<18}{told}" for name, told in named.items()]
    return "\n".join(
        [
            f"Usage: {context.command_path} [OPTIONS] [OVERRIDES]...",
            command.help,
            "",
            "Options:",
            *options,
        ]
    )


def _prepared(
    overrides: list[str] | None, config_dir: Path | None, single: bool = False, again: bool = False
) -> Prepared:
    with _uncollected():
        from segkit.study.compose import compose_study
        from segkit.study.run.preparation import prepare

        return prepare(compose_study(overrides or [], config_dir, single=single), again=again)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage among what is imported and planned in the block: hardly any of it is, then or later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _launch(prepared: Prepared, quiet: bool) -> Finished:
    from segkit.files import DiskFull
    from segkit.progress import progress
    from segkit.study.run.scheduler import check_scheduler
    from segkit.study.sweep import claimed, launch

    # First of all, so that an address that cannot be used is one line and leaves no study's folder.
    prepared.store.prepare()
    check_scheduler(prepared.engine, str(prepared.store.root))
    for warning in prepared.warnings:
        print(f"segkit: warning: {warning}", file=sys.stderr)
    with claimed(prepared) as prepared:
        resume = _resume(prepared)
        stopped = (
            f"interrupted; what was finished is kept for {prepared.folder}; go on with: {resume}"
        )
        try:
            with signals.last_words(stopped):
                finished = launch(prepared, ["segkit", *sys.argv[1:]], progress(quiet))
        except KeyboardInterrupt:
            _fail(stopped, INTERRUPTED)
        except Exception as error:
            if signals.came():
                _fail(stopped, INTERRUPTED)
            if not isinstance(error, DiskFull):
                raise
            _fail(f"disk full: {error}; make room, then go on with: {resume}", WRONG_USAGE)
        _tell_launched(finished, quiet)
        _report(finished, prepared.engine.n_workers)
    return finished


def _tell_launched(finished: Finished, quiet: bool) -> None:
    """Say how a study went, on stderr."""
    from segkit.progress import work_line

    summary = work_line(finished.work)
    if summary and not quiet:
        print(f"segkit: {summary}", file=sys.stderr)
    if finished.counts["skipped"] == len(finished.runs):
        reason = finished.runs["reason"].mode().iloc[0]
        print(
            f"segkit: warning: no run can be done; the most frequent reason: {reason}",
            file=sys.stderr,
        )
    if finished.damaged:
        kinds = ", ".join(f"{count} {kind}" for kind, count in finished.damaged.items())
        message = (
            f"stored results were damaged and dropped ({kinds}); what this study needs was computed"
            " again"
        )
        print(f"segkit: warning: {message}", file=sys.stderr)
    if finished.lost_stages:
        lost = (
            f"{finished.lost_stages} stages of the confirmation failed; segkit status"
            f" {finished.folder} tells why"
        )
        print(f"segkit: warning: {lost}", file=sys.stderr)


def _report(finished: Finished, workers: int) -> None:
    """Write what the report needs, and the report."""
    import segkit.report
    from segkit.segments.silhouettes import keep_silhouettes
    from segkit.segments.write_profiles import keep_profiles
    from segkit.study.keep.published import seal

    again = f"write the report with: {shlex.join([*_program(), 'report', str(finished.folder)])}"
    try:
        with (
            signals.last_words(f"interrupted; the runs are all there; {again}"),
            signals.ends_here(),
        ):
            keep_profiles(finished, workers=workers)
            keep_silhouettes(finished)
            seal(finished.folder)
            segkit.report.build(finished.folder, tell=_tell)
    except KeyboardInterrupt:
        _fail(f"interrupted; the runs are all there; {again}", INTERRUPTED)
    except BaseException:
        print(f"segkit: the runs are all there; {again}", file=sys.stderr)
        raise


def _resume(prepared: Prepared) -> str:
    """Return the command that goes on with a study in its folder, as a shell reads it."""
    # The folder may have been the dated default, or named with the time of the launch.
    named = r"\+*(hydra\.sweep\.dir|store)=" if "--force" in sys.argv else r"\+*hydra\.sweep\.dir="
    asked = [text for text in sys.argv[1:] if text != "--force" and not re.match(named, text)]
    places = [f"hydra.sweep.dir={_hydra_path(prepared.folder)}"]
    if "--force" in sys.argv:
        # What was computed anew lies in a store of its own; forced again, it would be computed once
        # more.
        places.append(f"store={_hydra_path(prepared.store.root)}")
    return shlex.join([*_program(), *asked, *places])


def _hydra_path(path: Path) -> str:
    """Return a path as Hydra reads it: in quotes where it holds other characters than plain ones."""
    text = str(path)
    if re.fullmatch(r"[\w./+-]+", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _program() -> list[str]:
    """Return how this command was called: by its name where a shell finds it so, else by its file."""
    called = sys.argv[0]
    if called.endswith(".py"):  # python -m segkit.cli
        return [sys.executable, "-m", "segkit.cli"]
    known = shutil.which("segkit")
    here = known is not None and os.path.realpath(known) == os.path.realpath(called)
    return ["segkit"] if here else [called]


def _print_row(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if value is not None and not name.endswith("_status"):
            print(f"{name:<32} {value:.6g}" if isinstance(value, float) else f"{name:<32} {value}")


def _fail(message: str, code: int) -> NoReturn:
    print(f"segkit: error: {harmless(message)}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        signals.install()
        streams.lasting()
        code = _code()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        signals.end()
        _fail("interrupted", INTERRUPTED)
    except OSError as error:
        # Files that are written name themselves.
        if error.errno != errno.ENOSPC or error.filename:
            raise
        streams.to_nowhere(sys.stdout)
        _fail(f"what was to be told cannot be written ({error.strerror})", WRONG_USAGE)
    finally:
        signals.done()
    sys.exit(code)


def _called() -> int:
    """Call the command; what fails because a library took an interrupt for an error of its own is an interrupt."""
    try:
        return app(standalone_mode=False) or DONE
    except Exception:
        if signals.came():
            raise KeyboardInterrupt from None
        raise


def _code() -> int:
    """Run the command and return its exit code."""
    from segkit.files import DiskFull
    from segkit.study.run.store import Damaged

    # Read by the numerical libraries when they are first imported, here and in every worker.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Tables of thousands of runs are made of objects that stay: with Python's own thresholds a
    # twentieth of the time of a study whose stages are stored would be spent in looking for garbage
    # among them.
    gc.set_threshold(50_000, 20, 20)
    try:
        code = _called()
        # Typer turns an interrupt into this code by itself.
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code
    except UsageError as error:
        _fail(" ".join(str(error).split()), WRONG_USAGE)
    except WorkersLost as error:
        _fail(
            f"{error}; once there are workers again, the same command goes on from there",
            NOT_ALL_THERE,
        )
    except DiskFull as error:
        _fail(f"disk full: {error}; the next launch goes on from there", WRONG_USAGE)
    except Damaged as error:
        _fail(str(error), WRONG_USAGE)
    except _PARSER_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
            sys.exit(WRONG_USAGE)
        _fail(" ".join(error.format_message().split()), WRONG_USAGE)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            raise
        print(harmless(traceback.format_exc()), end="", file=sys.stderr)
        _fail("this is a bug in segkit, please report it with the lines above", INTERNAL)


if __name__ == "__main__":
    main()
