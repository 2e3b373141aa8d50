"""The command ``signgen``: a group whose commands are imported only when they are called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from signgen import __version__, quick_start
from signgen.errors import SignGenError

# Command -> one line for `signgen --help`. The command itself is `signgen.commands.<name>.command`, - written as _.
COMMANDS = {
    "render": "Turn keypoints into photo-real signing video.",
    "live": "Sign along with keypoints that come one frame at a time.",
    "extract": "Find the keypoints of a signer in a video.",
    "evaluate": "Score generated video against true video.",
    "convert": "Write keypoints in another file format.",
    "edit": "Trim, join, retime and mix clips of keypoints.",
    "inspect": "Say what a keypoint file or a data set holds and what it lacks.",
    "draw": "Draw the pose images that the model sees.",
    "synthesize": "Write a data set of drawn signers with exact keypoints.",
    "prepare": "Make a data set ready for training.",
    "train": "Train a stage of the model.",
    "render-pairs": "Render the pairs of DeepFashion or Market-1501.",
    "assemble": "Put trained parts together to a model.",
    "personalise": "Have a model learn one person from a short video.",
    "augment": "Sign a data set again with other signers, for recognisers.",
    "app": "Serve a web page that renders, scores, and learns a person.",
    "serve": "Let other programs render over HTTP.",
    "doctor": "Say what is installed, what will be used, and what is missing.",
    "export": "Write a model for faster renders on CPUs, as ONNX, or as a web page.",
    "convert-checkpoint": "Turn a checkpoint of FPDM's trainers into a model.",
}


OTHER_NAMES = {"personalize": "personalise"}


_ELSEWHERE = {
    "render-pairs": ("render", "pairs_command"),  # two that share much of a file
    **{name: (f"serving.{name}", "command") for name in ("app", "live", "serve")},
}


class LazyGroup(click.Group):
    """Lists commands from a table and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = OTHER_NAMES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module, name = _ELSEWHERE.get(cmd_name, (cmd_name.replace("-", "_"), "command"))
        return getattr(import_module(f"signgen.commands.{module}"), name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Without ``args`` this is the program itself, which may arrange its process to start quickly."""
        if args is None:
            quick_start.allow()
        return super().main(args, *rest, **more)

    def invoke(self, ctx: click.Context) -> object:
        """Usage errors in the same one-line form as all others, with the same exit code."""
        try:
            return super().invoke(ctx)
        except SignGenError as error:  # raised while an option was read, before the command ran
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except click.UsageError as error:
            _say(error)
            ctx.exit(2)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same for options before the command; without any argument the help is shown."""
        empty = not args  # reading takes them out of the list
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if empty:
                raise
            _say(error)
            ctx.exit(2)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _say(error: click.UsageError) -> None:
    command = error.ctx.command_path if error.ctx else "signgen"
    click.echo(f"error: {command}: {error.format_message().rstrip('.')}; see {command} --help", err=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="signgen")
def main() -> None:
    """Keypoints in, photo-real sign-language video out.

    Every command takes --json (one JSON object on standard output) and exits with 0 when done,
    2 for bad usage or input, 1 for a failure while running.
    """
