"""The command line: options to a config, one call, one printed summary. Imports no engine."""

import contextlib
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from keras_dnnts.cli.commands import cli
from keras_dnnts.cli.options import spell
from keras_dnnts.cli.output import CLOSED_PIPE_EXIT_CODE, OutputError, noticed_output
from keras_dnnts.errors import UserError
from keras_dnnts.ranks import may_speak
from keras_dnnts.running.interruption import EXIT_CODE
from keras_dnnts.running.surroundings import settle_surroundings

LONGEST_COMPLAINT = 800  # characters
COMPLAINT_EXIT_CODE = 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; a mistake in what the user gave is one line on stderr and exit code 2."""
    with noticed_output() as output:
        logging.basicConfig(format="keras-dnnts: %(message)s", level=logging.WARNING, force=True)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_SpellingFormatter("keras-dnnts: %(message)s"))
        try:
            code = _run_command(arguments)
            output.flush()
        except OutputError:
            code = CLOSED_PIPE_EXIT_CODE
        if reason := output.reason_of_loss:
            code = _complain(f"stdout cannot be written: {reason}")
    sys.exit(code)


class _SpellingFormatter(logging.Formatter):
    """Writes options within messages as the command line spells them."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple):
            record.args = tuple(one.args[0] if isinstance(one, UserError) else one for one in record.args)
        return UserError(super().format(record)).spelled(spell)


def _run_command(arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit code."""
    try:
        settle_surroundings()
        code = cli.main(arguments, prog_name="keras-dnnts", standalone_mode=False)
        return code if isinstance(code, int) else 0  # of a command that exits by itself
    except click.exceptions.NoArgsIsHelpError as error:
        return _help(error)
    except click.ClickException as error:
        return _complain(error.format_message()) if may_speak() else COMPLAINT_EXIT_CODE
    except UserError as error:
        return _complain(error.spelled(spell)) if may_speak() else COMPLAINT_EXIT_CODE
    except click.Abort as error:
        # Click takes the end of any file for a Ctrl-D, and then for an interruption.
        if isinstance(error.__cause__, EOFError):
            return _complain_of_end(error.__cause__)
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except click.exceptions.Exit as error:
        return error.exit_code


def _help(error: click.exceptions.NoArgsIsHelpError) -> int:
    """Show how to use a group of commands that was named alone."""
    with contextlib.suppress(OSError):
        print(error.format_message(), file=sys.stderr, flush=True)
    return COMPLAINT_EXIT_CODE


def _interrupted() -> int:
    _tell("interrupted")
    return EXIT_CODE


def _complain_of_end(error: EOFError) -> int:
    place = traceback.extract_tb(error.__traceback__)[-1]
    _complain(f"a file that was being read ends too early ({error or 'EOFError'}; {place.filename}:{place.lineno})")
    return 1


def _complain(message: str) -> int:
    line = " ".join(message.split())
    # What was wrong may be as long as the user's input; what to do stands at the end.
    half = LONGEST_COMPLAINT // 2
    _tell(line if len(line) <= LONGEST_COMPLAINT else f"{line[:half]}…{line[-half:]}")
    return COMPLAINT_EXIT_CODE


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # there may be nobody to tell
        print(f"keras-dnnts: {line}", file=sys.stderr, flush=True)
