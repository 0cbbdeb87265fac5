"""The command line: parses, calls, prints; results to stdout, progress and messages to stderr."""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperOption

from segkit import signals, streams
from segkit.errors import UsageError, WorkersLost
from segkit.terminal import harmless, one_line
from segkit.version import __version__

if TYPE_CHECKING:
    from segkit.study.keep.finished import Finished
    from segkit.study.keep.progress_file import Going
    from segkit.study.run.preparation import Prepared

# The exit codes, as README lists them; scripts rely on them.
DONE, NOT_ALL_THERE, WRONG_USAGE, INTERNAL, NOT_REPRODUCED = 0, 1, 2, 3, 5
INTERRUPTED = signals.INTERRUPTED

app = typer.Typer(
    name="segkit",
    help="Compare every way of segmenting a table of customers, honestly and reproducibly.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # main prints errors, in one line where a user can act
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Options that Hydra's users know; everything else on the line is an override.
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="experiment=NAME, GROUP=OPTION, GROUP.PARAMETER=VALUE, a=x,y"),
]
ConfigDir = Annotated[
    Path | None, typer.Option("--config-dir", help="A folder with your own options.")
]
Cfg = Annotated[
    str | None, typer.Option("--cfg", help="Print the configuration (job, hydra or all) and stop.")
]
Resolve = Annotated[bool, typer.Option("--resolve", help="With --cfg: resolve interpolations.")]
Help = Annotated[
    bool, typer.Option("--help", "-h", help="Options, experiments and how to override.")
]
Multirun = Annotated[bool, typer.Option("--multirun", "-m", hidden=True)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, and nothing on stdout but the result.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Compute everything again, in a store of its own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's folder, or 'latest'.")]

# Which Click this class comes from depends on Typer's version: its own copy, or the installed one.
_PARSER_ERROR: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
# Overrides and options may be mixed; an unknown option is an error, never an override.
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
    """Run a study; compute only what is not stored yet."""
    if _printed_help(context, overrides, config_dir, cfg, resolve, help_):
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
    """Print what a sweep would do, and how long it would take; run nothing."""
    if _printed_help(context, overrides, config_dir, cfg, resolve, help_):
        return DONE
    from segkit.study.forecast import forecast, forecast_text

    expected = forecast(_prepared(overrides, config_dir))
    print(json.dumps(expected, indent=1) if as_json else forecast_text(expected))
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
    if _printed_help(context, overrides, config_dir, cfg, resolve, help_):
        return DONE
    from segkit.study.run.preparation import require_single

    # A single run is not chosen from others, so it is confirmed only if the user asks for it.
    prepared = _prepared(
        ["scoring.confirm=false", *(overrides or [])], config_dir, single=True, again=force
    )
    require_single(prepared)
    finished = _launch(prepared, quiet)
    row = json.loads(finished.runs.iloc[[0]].to_json(orient="records"))[0]
    if as_json:
        row |= {"folder": str(finished.folder), "efficiency": finished.work["efficiency"]}
        print(json.dumps(row, indent=1))
    else:
        _print_row(row)
        print(finished.folder)
    return DONE if finished.complete else NOT_ALL_THERE


@app.command()
def status(study: StudyName, as_json: AsJson = False) -> int:
    """Print a study's progress and its failures."""
    from segkit.study.keep.progress_file import read_going
    from segkit.study.keep.published import edited
    from segkit.study.keep.reader import find_study

    loaded = find_study(study)
    provenance = loaded.provenance
    going = read_going(loaded.folder) if provenance["state"] == "running" else None
    reasons = Counter(loaded.runs.loc[loaded.runs["status"] != "ok", "reason"].astype(str))
    summary = {
        "folder": str(loaded.folder),
        "state": provenance["state"],
        "counts": dict(provenance["counts"]),
        "efficiency": provenance.get("efficiency"),
        "progress": None if going is None else asdict(going),
        "reasons": [{"reason": reason, "runs": count} for reason, count in reasons.most_common()],
        "edited": edited(loaded.folder, provenance),
        "tracebacks": [text or "" for text in provenance["failures"].values()],
    }
    if as_json:
        print(json.dumps(summary, indent=1))
    else:
        _print_status(loaded.folder, summary, going)
    return DONE


def _print_status(folder: Path, summary: dict[str, Any], going: Going | None) -> None:
    """Print a study's status for people.

    A study may come from somebody else, so nothing in it may steer the terminal or look like
    another line.
    """
    from segkit.study.keep.published import edited_lines
    from segkit.study.keep.reader import state_of

    counts = ", ".join(f"{count} {name}" for name, count in summary["counts"].items() if count)
    state = state_of(folder, summary["state"]) if going is None else summary["state"]
    print(one_line(f"{state}: {counts}"))
    if going is not None:
        print(*map(one_line, going.lines), sep="\n")
    for entry in summary["reasons"]:
        print(f"  {entry['runs']:>6} x {one_line(entry['reason'])}")
    for line in edited_lines(summary["edited"]):
        print(one_line(f"warning: {line}"))
    for text in summary["tracebacks"]:
        print(f"\n{harmless(text).rstrip()}")
    print(harmless(folder))


@app.command()
def report(
    study: StudyName,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    max_mb: Annotated[
        str | None,
        typer.Option(
            "--max-mb", metavar="MB", help="The page's largest size; else as in the study."
        ),
    ] = None,
    customers: Annotated[
        bool | None,
        typer.Option(
            "--customers/--no-customers",
            help="Show the customers' ids and values, or not; else as in the study.",
        ),
    ] = None,
) -> int:
    """Rebuild a study's report from its folder."""
    import segkit.report
    from segkit.study.keep.reader import find_study

    size = None if max_mb is None else _number(max_mb)
    page = segkit.report.build(
        find_study(study).folder, customers=customers, max_mb=size, tell=_tell_line
    )
    print(harmless(page))
    if open_:
        _open(page)
    return DONE


def _number(text: str) -> Any:
    """Return a text as a number; leave any other text for the report's own check to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        _tell_line(f"no browser was found on this machine; open {page} in one")


def _tell(message: str) -> None:
    """Print a message on stderr."""
    print(f"segkit: {harmless(message)}", file=sys.stderr)


def _tell_line(message: str) -> None:
    """Print a message that quotes a study's files on stderr: it cannot leave its line."""
    _tell(one_line(message))


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

    loaded = find_study(study)
    comparison = recompute(loaded, find_run(loaded, run_id), data)
    if as_json:
        print(json.dumps(comparison.as_dict(), indent=1))
    else:
        for stage in comparison.stages:
            line = f"{one_line(stage.stage):<29} {stage.verdict:<11} {one_line(stage.detail)}"
            print(line.rstrip())
        for change in comparison.changed:
            print(f"changed: {one_line(change)}")
        print(f"run {comparison.run}: {comparison.verdict}")
    return NOT_REPRODUCED if comparison.verdict == DIFFERENT else DONE


def _printed_help(
    context: typer.Context,
    overrides: list[str] | None,
    config_dir: Path | None,
    cfg: str | None,
    resolve: bool,
    help_: bool,
) -> bool:
    """Print the help or the configuration if an option asks for it; return whether one did."""
    if resolve and cfg is None:
        raise UsageError("--resolve: goes with --cfg job, hydra or all")
    if help_:
        from segkit.study.compose import help_text

        print(_usage(context), help_text(config_dir), sep="\n\n")
        return True
    if cfg is not None:
        from segkit.study.compose import job_config

        print(job_config(overrides or [], config_dir, cfg, resolve))
        return True
    return False


def _usage(context: typer.Context) -> str:
    """Return how a command that takes overrides is called, and its options."""
    command = context.command
    lines = [
        f"Usage: {context.command_path} [OPTIONS] [OVERRIDES]...",
        command.help or "",
        "",
        "Options:",
    ]
    for option in command.params:
        if not isinstance(option, TyperOption) or option.hidden:
            continue
        name = ", ".join(sorted(option.opts, key=len))
        if not option.is_flag:
            name += " ..."
        lines.append(f"  {name:<18}{option.help}")
    return "\n".join(lines)


def _prepared(
    overrides: list[str] | None, config_dir: Path | None, single: bool = False, again: bool = False
) -> Prepared:
    with _uncollected():
        from segkit.study.compose import compose_study
        from segkit.study.run.preparation import prepare

        return prepare(compose_study(overrides or [], config_dir, single=single), again=again)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turn the garbage collector off in the block, and exempt the objects made in it for good.

    Imported modules and plans hardly ever become garbage, and looking for it takes time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _launch(prepared: Prepared, quiet: bool) -> Finished:
    from segkit.launch import Interrupted, Stopped, launch

    try:
        return launch(prepared, sys.argv, quiet, _tell)
    except Interrupted as stopped:
        _fail(str(stopped), INTERRUPTED)
    except Stopped as stopped:
        _fail(str(stopped), WRONG_USAGE)


def _print_row(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if value is None or name.endswith("_status"):
            continue
        text = f"{value:.6g}" if isinstance(value, float) else value
        print(f"{name:<32} {text}")


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
        # Without a file's name it is the output stream that is full.
        if error.errno != errno.ENOSPC or error.filename:
            raise
        streams.to_nowhere(sys.stdout)
        _fail(f"the output cannot be written ({error.strerror})", WRONG_USAGE)
    finally:
        signals.done()
    sys.exit(code)


def _called() -> int:
    """Call the command and return its exit code."""
    try:
        code: int = app(standalone_mode=False) or DONE
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception:
        # The library took the interrupt for an error of its own.
        if signals.came():
            raise KeyboardInterrupt from None
        raise
    # Typer turns an interrupt into this code by itself.
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _tune_process() -> None:
    """Set what the numerical libraries and Python's garbage collection read once."""
    # Read by the numerical libraries when they are first imported, here and in every worker.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Tables of thousands of runs are made of objects that stay. With Python's own thresholds, a
    # study whose stages are all stored spends a twentieth of its time looking for garbage.
    gc.set_threshold(50_000, 20, 20)


def _code() -> int:
    """Run the command and return its exit code; an error of the user's is one line."""
    from segkit.files import DiskFull
    from segkit.study.run.store import Damaged

    _tune_process()
    try:
        return _called()
    except UsageError as error:
        _fail(" ".join(str(error).split()), WRONG_USAGE)
    except WorkersLost as error:
        _fail(
            f"{error}; with workers again, the same command resumes from there",
            NOT_ALL_THERE,
        )
    except DiskFull as error:
        _fail(f"disk full: {error}; the next launch resumes from there", WRONG_USAGE)
    except Damaged as error:
        _fail(str(error), WRONG_USAGE)
    except _PARSER_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
            sys.exit(WRONG_USAGE)
        _fail(" ".join(error.format_message().split()), WRONG_USAGE)
    except Exception as error:
        # The output's disk is full: main says so.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            raise
        print(harmless(traceback.format_exc()), end="", file=sys.stderr)
        _fail("this is a bug in segkit, please report it with the lines above", INTERNAL)


if __name__ == "__main__":
    main()
