"""``python -m signgen`` is the command ``signgen``."""

from signgen.cli import main

main()
