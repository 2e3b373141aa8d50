"""The command ``signgen``, which ``python -m signgen`` is, too."""

from signgen import signals


def main() -> None:
    """Runs it; the process is the command's own from its first moment on."""
    signals.listen()
    from signgen.cli import main as command

    command()


if __name__ == "__main__":
    main()
