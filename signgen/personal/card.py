"""The card of a model that has learned a person: who agreed, what was trained, and what it is worth."""

from __future__ import annotations

from typing import Any

CARD = "README.md"


def card(record: dict[str, Any], table: str) -> str:
    """Markdown.

    Args:
        record: what the folder's ``personal.json`` says. table: the scores before and after.
    """
    stages = "\n".join(f"- {name}: {steps:,} steps" for name, steps in record["stages"].items())
    warnings = "\n".join(f"- {line}" for line in record["warnings"]) or "- none"
    pictures = ", ".join(record["sources"])
    return f"""---
tags: [sign-language, pose-to-video, personal]
---

# A model of one person

**It shows a real person. Everything it makes is generated video, and says so.** Consent, in the words that were given
when it was made:

> {" ".join(record["consent"].split())}

Remove this folder, and what was made with it, when the person withdraws. Do not have the person sign what they did not
agree to say.

Made on {record["made"]} with signgen {record["signgen"]} from {record["video"]}: {record["frames"]} frames.
{record["learned"]} were chosen to learn from, the last {record["held_out"]} were held out. Begun from
`{record["model"]}`. {record["minutes"]:.0f} minutes in all:

{stages}

{table}

Warnings:

{warnings}

`before_after.mp4` shows the held-out part, from its start: the recording, before, after.
`sheet.jpg` shows how it went. Use it:

```bash
signgen render clip.json --model THIS_FOLDER --align -o clip.mp4
```

Without `--source` its own pictures of the person are taken ({pictures}).
"""
