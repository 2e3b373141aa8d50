"""Every page of the documentation is run: its blocks in order, in one folder, as a reader would type them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from docs_pages import ROOT, RUN, Block, anchors, blocks, complaints, known_options, links, options_in_prose, pages
from docs_stage import Stage, checkout

STAGES = Path(__file__).resolve().parent / "docs_stages"
SECONDS = 800


def module_name(page: str) -> str:
    """``docs/some-page.md`` -> ``some_page``; ``README.md`` -> ``readme``."""
    return "readme" if page == "README.md" else Path(page).stem.lower().replace("-", "_")


def stage_of(page: str) -> Stage:
    """The page's stage; a failure that says what to write where there is none."""
    name = module_name(page)
    if not (STAGES / f"{name}.py").is_file():
        if all(block.reason is not None for block in blocks(read(page)) if block.language in RUN):
            return Stage()  # nothing to run
        pytest.fail(f"{page} has commands and no stage: write tests/docs_stages/{name}.py, see docs/README.md")
    return import_module(f"docs_stages.{name}").STAGE


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def split_blocks(page: str, stage: Stage) -> tuple[list[Block], list[tuple[Block, str]]]:
    """Blocks to run, and (block, reason) of those not to run."""
    run, left = list[Block](), list[tuple[Block, str]]()
    for block in blocks(read(page)):
        reasons = [reason for start, reason in stage.not_run if block.text.startswith(start)]
        reason = block.reason if block.reason is not None else (reasons[0] if reasons else None)
        if block.language in RUN and reason is None:
            run.append(block)
        elif block.language in RUN and reason is not None:
            left.append((block, reason))
    return run, left


def script(run: list[Block], stage: Stage, page: str) -> str:
    """One bash program of all blocks, as they share a terminal; it keeps the running block's line in $DOCS_LINE."""
    parts = ["set -euo pipefail"]
    texts = [block.text for block in run]
    for shown, instead in stage.replacements:
        assert any(shown in text for text in texts), f"{page} no longer has {shown!r}: change its stage"
        texts = [text.replace(shown, instead) for text in texts]
    for block, text in zip(run, texts, strict=True):
        parts.append(f'echo {block.line} > "$DOCS_LINE"')
        parts.append(text if block.language == "bash" else f"python - <<'END_OF_BLOCK'\n{text}END_OF_BLOCK")
    return "\n".join(parts)


@pytest.mark.timeout(SECONDS + 100)
@pytest.mark.parametrize("page", pages())
def test_the_commands_of_a_page_work(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    stage = stage_of(page)
    run, _ = split_blocks(page, stage)
    if not run:
        return
    folder, home, line = tmp_path / "page", tmp_path / "home", tmp_path / "line"
    folder.mkdir()
    home.mkdir()
    checkout(folder)
    stage.prepare(folder)
    environment = {
        **os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1", "DOCS_LINE": str(line), **stage.environment,
        "PATH": os.pathsep.join(
            [str(request.getfixturevalue("commands")), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        ),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", script(run, stage, page)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS,
    )  # fmt: skip
    said = "\n".join(done.stdout.splitlines()[-40:])
    at = line.read_text().strip() if line.exists() else "?"
    assert done.returncode == 0, f"{page}: the block of line {at} ended with {done.returncode}:\n{said}"
    for pattern in stage.leaves:
        found = [path for path in folder.glob(pattern) if path.is_dir() or path.stat().st_size]
        assert found, f"{page}: no {pattern} after its commands:\n{said}"
    stage.check(folder)


@pytest.mark.parametrize("page", pages())
def test_what_is_not_run_has_a_reason_and_could_be(page: str) -> None:
    stage = stage_of(page)
    for start, _ in stage.not_run:
        assert any(b.text.startswith(start) for b in blocks(read(page))), (
            f"{page} has no block {start!r}: see its stage"
        )
    for block, reason in split_blocks(page, stage)[1]:
        assert len(reason.split()) >= 3, f"{page}, line {block.line}: say why this block is not run, got {reason!r}"
        wrong = complaints(block.text) if block.language == "bash" else []
        assert not wrong, f"{page}, line {block.line}: {wrong}"


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    broken = []
    for link in links(read(page)):
        place, _, heading = link.partition("#")
        target = folder / place if place else ROOT / page
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert not broken, f"{page}: {broken}"


@pytest.mark.parametrize("page", pages())
def test_options_in_the_text_exist(page: str) -> None:
    unknown = options_in_prose(read(page)) - known_options()
    assert not unknown, f"{page} names options that no command has: {sorted(unknown)}"


def test_the_index_lists_every_page() -> None:
    listed = set(links(read("docs/README.md")))
    others = {Path(page).name for page in pages() if page.startswith("docs/")} - {"README.md"}
    assert others <= listed, f"docs/README.md does not list {sorted(others - listed)}"


def test_every_stage_has_a_page() -> None:
    names = {module_name(page) for page in pages()}
    assert {path.stem for path in STAGES.glob("*.py")} <= names


PAGE = """# A page
<!-- not run: needs a GPU with 80 GB -->
```bash
signgen render clip.json --nosuch
```

```bash
echo "$GREETING" | tr a-z A-Z > loud.txt
cd sub
```
Some `--align` text, and `pip install --nothing`.
```python
open("here.txt", "w").write("x")
```
"""


def test_a_page_is_taken_apart() -> None:
    first, second, third = blocks(PAGE)
    assert (first.reason, second.reason, third.reason) == ("needs a GPU with 80 GB", None, None)
    assert (second.language, second.line, third.language) == ("bash", 8, "python")
    assert options_in_prose(PAGE) == {"--align", "--nothing"}
    assert blocks("<!-- not run: far -->\ntext\n```bash\nls\n```\n")[0].reason is None  # a comment of something else
    with pytest.raises(ValueError, match="no end"):
        blocks("```bash\nls\n")


def test_blocks_share_a_terminal(tmp_path: Path) -> None:
    stage = Stage(replacements=(("tr a-z A-Z", "rev"),), environment={"GREETING": "abc"})
    run = [block for block in blocks(PAGE) if block.reason is None]
    (tmp_path / "sub").mkdir()
    environment = {**os.environ, "GREETING": "abc", "DOCS_LINE": str(tmp_path / "line")}
    subprocess.run(["bash", "-c", script(run, stage, "it")], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "loud.txt").read_text().strip() == "cba"
    assert (tmp_path / "sub" / "here.txt").read_text() == "x"
    assert (tmp_path / "line").read_text().strip() == "13"
    with pytest.raises(AssertionError, match="no longer has"):
        script(run, Stage(replacements=(("absent", ""),)), "it")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("signgen render clip.json --nosuch", "--nosuch"),
        ("signgen nosuch", "no such command"),
        ("X=1 signgen draw clip.json", "output"),
        ("torchrun --nproc-per-node 2 -m signgen train", "config"),
        ("true && signgen render a.json --frame-size huge", "huge"),
        ('pip install "signgen[nosuch]"', "nosuch"),
        ("python benchmarks/nosuch.py", "no such file"),
    ],
)
def test_wrong_commands_are_found_without_running_them(text: str, complaint: str) -> None:
    (found,) = complaints(text)
    assert complaint in found


def test_right_commands_pass() -> None:
    text = (
        'pip install "signgen[cpu]"\nsigngen render a.json \\\n  -o b.mp4  # a remark\npython benchmarks/held_out.py\n'
    )
    assert complaints(text + "cd runs && .venv/bin/signgen inspect a.json | head -1; signgen --help") == []


def test_the_quick_command_is_the_command(commands: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    shell = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    wrong = subprocess.run(["bash", "-c", "signgen inspect absent.json --json | cat; exit ${PIPESTATUS[0]}"], **shell)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: absent.json")
    right = subprocess.run(["signgen", "--version"], **shell)
    assert right.returncode == 0
    assert right.stdout.startswith("signgen, version")


def test_the_quick_python_is_python(commands: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    def said(program: str) -> tuple[int, str, str]:
        done = subprocess.run(
            ["python", "-"], input=program, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2]

    assert said("import beside, sys\nprint(beside.WORD, __name__, sys.argv)") == (0, "beside __main__ ['-']\n", "")
    assert said("import atexit\natexit.register(print, 'end')\nraise SystemExit(3)") == (3, "end\n", "")
    assert said("print('so far')\n1 / 0") == (1, "so far\n", "ZeroDivisionError: division by zero")
