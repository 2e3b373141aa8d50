"""Renders signers driven by real keypoint files, as a contact sheet and a short video for showing.

    python tools/make_showcase.py alma=a.pose bela=b.pose@20:90 cora=c.pose dara=d.json \\
        --sheet showcase.webp --video showcase.mp4 --credit "Keypoints: sign-language-processing/pose, MIT"

Each SIGNER=FILE[@FIRST:STOP] is a picture of a person (a built-in signer's name or an image) and the frames of a
keypoint file that drive it. The person who was filmed may stand elsewhere and in another frame: shoulders and nose are
laid on the signer's, and the skeleton gets the signer's proportions. Picture and video say that they are generated, and
carry the line of --credit: what is made from a file falls under that file's licence, so name it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from signgen.errors import InputError, SignGenError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.model import SignGenPipeline
from signgen.pose_image import draw_pose
from signgen.rendering import render
from signgen.rendering.framing import choose_framing, find_stance, typical_stance
from signgen.rendering.manifest import container_metadata
from signgen.rendering.source import Source, load_source
from signgen.video import VideoWriter, read_frames

FPS = 25.0
STATEMENT = "Generated video: nobody shown here exists."
INSET, MARGIN, LINE = 0.26, 6, 22  # share of a tile's side, pixels, pixels of a line of words


@dataclass(frozen=True)
class Part:
    """Who is driven by what: the frames ``first`` to ``stop`` - 1 of a keypoint file (None: to its ends)."""

    signer: str
    path: Path
    first: int | None = None
    stop: int | None = None

    @classmethod
    def parse(cls, text: str) -> Part:
        """SIGNER=FILE or SIGNER=FILE@FIRST:STOP.

        Raises:
            InputError: another form, or no such file.
        """
        signer, _, rest = text.partition("=")
        name, _, frames = rest.partition("@")
        ends = frames.split(":") if frames else ["", ""]
        if not (signer and name and len(ends) == 2 and all(end == "" or end.isdecimal() for end in ends)):
            raise InputError("part", f"got {text!r}", "write SIGNER=FILE or SIGNER=FILE@FIRST:STOP")
        if not Path(name).exists():
            raise InputError(name, "not found", "give a keypoint file")
        first, stop = (int(end) if end else None for end in ends)
        return cls(signer, Path(name), first, stop)


@dataclass(frozen=True)
class Film:
    """A finished part: source picture uint8 (H,W,3), pose images and frames uint8 (T,H,W,3), the driving keypoints."""

    part: Part
    source: np.ndarray
    poses: np.ndarray
    frames: np.ndarray
    keypoints: Keypoints


# ---- rendering -------------------------------------------------------------------------------------------------------


def driving(part: Part, source: Source, pixel_aspect: float, seconds: float) -> Keypoints:
    """The part's keypoints at 25 frames a second in the source's own frame, where the source person stands."""
    keypoints = read_keypoints(part.path).keypoints[part.first : part.stop]
    keypoints = keypoints.resample(FPS)[: round(seconds * FPS)]
    own = find_stance(source.keypoints) if source.keypoints is not None else None
    stance = own or typical_stance(source.size)
    framing, _ = choose_framing(keypoints, stance, source.size, keypoints.size, pixel_aspect)
    return framing.to_canvas(keypoints)


def make_film(part: Part, pipeline: SignGenPipeline, seconds: float, **options: Any) -> Film:
    """Renders one part."""
    source = load_source(part.signer)
    keypoints = driving(part, source, pipeline.config.pixel_aspect, seconds)
    with tempfile.TemporaryDirectory(prefix="signgen-showcase-") as folder:
        output = Path(folder) / "frames"
        align = source.keypoints is not None
        result = render(keypoints, source=source, model=pipeline, output=output, align=align, **options)
        frames = np.stack(list(read_frames(output)))
    for warning in result.warnings:
        click.echo(f"{part.signer}: {warning}", err=True)
    return Film(part, source.image, draw_pose(keypoints), frames, keypoints)


# ---- pictures --------------------------------------------------------------------------------------------------------


def scaled(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame at another (width, height)."""
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def tile(frame: np.ndarray, pose: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The generated frame at (width, height), with the skeleton small in its upper left corner."""
    picture = scaled(frame, size).copy()
    small = scaled(pose, (round(INSET * size[0]), round(INSET * size[1])))
    picture[MARGIN : MARGIN + small.shape[0], MARGIN : MARGIN + small.shape[1]] = small
    return picture


def caption(width: int, lines: list[str]) -> np.ndarray:
    """White words on black, uint8 (H,W,3); lines that are too long go on in the next."""
    font = ImageFont.load_default(13)
    rows = [row for line in lines for row in _wrapped(line, lambda text: font.getlength(text) <= width - 2 * MARGIN)]
    image = Image.new("RGB", (width, LINE * len(rows) + (LINE * len(rows)) % 2), "black")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(rows):
        draw.text((MARGIN, number * LINE + 3), line, fill="white", font=font)
    return np.asarray(image)


def _wrapped(line: str, fits: Callable[[str], bool]) -> list[str]:
    """The line's words in as few rows as fit; a word alone in its row may be longer."""
    rows = [""]
    for word in line.split():
        longer = f"{rows[-1]} {word}".strip()
        rows = [*rows[:-1], longer] if fits(longer) or not rows[-1] else [*rows, word]
    return rows


def moments(keypoints: Keypoints, count: int) -> list[int]:
    """Frames for the contact sheet: of each of ``count`` equal parts the one whose hands are seen best and rest."""
    hands = slice(LEFT_HAND.start, RIGHT_HAND.stop)
    seen = keypoints.confidence[:, hands].mean(1)
    step = np.abs(np.diff(keypoints.xy[:, hands], axis=0, prepend=keypoints.xy[:1, hands])).mean((1, 2))
    worth = seen - 0.02 * step
    bounds = np.linspace(0, len(keypoints), count + 1).astype(int)
    return [
        int(a + worth[a:b].argmax()) if b > a else min(a, len(keypoints) - 1)
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]


def make_sheet(films: list[Film], count: int, size: tuple[int, int], lines: list[str]) -> np.ndarray:
    """A row for each film: the source picture, then ``count`` generated frames with their skeletons."""
    rows = []
    for film in films:
        picked = moments(film.keypoints, count)
        tiles = [tile(film.frames[frame], film.poses[frame], size) for frame in picked]
        rows.append(np.concatenate([scaled(film.source, size), *tiles], axis=1))
    sheet = np.concatenate(rows)
    words = ["Left: the one picture that is known of each person. Beside it: what the small skeletons drive.", *lines]
    return np.concatenate([sheet, caption(sheet.shape[1], words)])


def video_frames(films: list[Film], size: tuple[int, int], lines: list[str]) -> Iterator[np.ndarray]:
    """The films side by side, two in a row, as long as the longest one; shorter ones begin again."""
    words = caption(2 * size[0], lines)
    black = np.zeros((size[1], size[0], 3), np.uint8)
    for number in range(max(len(film.frames) for film in films)):
        tiles = [tile(f.frames[number % len(f.frames)], f.poses[number % len(f.frames)], size) for f in films]
        tiles += [black] * (len(tiles) % 2)
        rows = [np.concatenate(pair, axis=1) for pair in zip(tiles[::2], tiles[1::2], strict=True)]
        yield np.concatenate([*rows, words])


def save_picture(picture: np.ndarray, path: Path, quality: int = 82) -> None:
    """Writes .webp, .jpg or .png with the statement inside."""
    words = {} if path.suffix.lower() == ".png" else {"quality": quality}
    exif = Image.Exif()
    exif[0x010E] = STATEMENT  # ImageDescription
    Image.fromarray(picture).save(path, exif=exif, **words)


# ---- the command -----------------------------------------------------------------------------------------------------


def tile_size(pipeline: SignGenPipeline, height: int) -> tuple[int, int]:
    """(width, height) of a tile: broadcast frames are squeezed sideways, and are shown as wide as people are."""
    width, full = pipeline.frame_size
    return 2 * round(width / pipeline.config.pixel_aspect * height / full / 2), height


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, required=True, metavar="SIGNER=FILE...")
@click.option("--sheet", type=click.Path(path_type=Path), help="contact sheet, .webp, .jpg or .png")
@click.option("--video", type=click.Path(path_type=Path), help="video, .mp4 or .webm")
@click.option("--credit", required=True, help="where the keypoints come from, and under which licence")
@click.option("--model", default="mini", show_default=True, help="name or folder")
@click.option("--seconds", default=6.0, show_default=True, type=click.FloatRange(0.1, 60), help="longest part")
@click.option("--moments", "count", default=4, show_default=True, type=click.IntRange(1, 12), help="frames a signer")
@click.option("--height", default=320, show_default=True, type=click.IntRange(64, 2048), help="of a tile, pixels")
@click.option("--smooth", type=click.FloatRange(0.01), help="cut-off of the keypoints' smoothing, Hz")
@click.option("--fill-gaps", type=click.IntRange(0), help="longest gap of a joint to be filled, frames")
@click.option("--seed", default=0, show_default=True)
def main(
    parts: tuple[str, ...], sheet: Path | None, video: Path | None, credit: str, model: str, seconds: float,
    count: int, height: int, smooth: float | None, fill_gaps: int | None, seed: int,
) -> None:  # fmt: skip
    wanted = [Part.parse(text) for text in parts]
    if sheet is None and video is None:
        raise InputError("output", "none wanted", "give --sheet, --video or both")
    pipeline = SignGenPipeline.from_pretrained(model)
    options = {"smooth": smooth, "fill_gaps": fill_gaps, "seed": seed}
    films = [make_film(part, pipeline, seconds, **options) for part in wanted]
    driven = ", ".join(f"{Path(part.signer).stem} by {part.path.name}" for part in wanted)
    size, lines = tile_size(pipeline, height), [f"{STATEMENT} signgen, model {Path(model).name}.", driven, credit]
    if sheet is not None:
        save_picture(make_sheet(films, count, size, lines), sheet)
        click.echo(f"{sheet}: {sheet.stat().st_size / 1000:.0f} kB")
    if video is not None:
        words = container_metadata(pipeline.name, ", ".join(part.signer for part in wanted), seed)
        words["comment"] = f"{words['comment']} {credit}"
        frames = video_frames(films, size, lines)
        first = next(frames)
        with VideoWriter(video, (first.shape[1], first.shape[0]), FPS, words) as writer:
            writer.write(first)
            for frame in frames:
                writer.write(frame)
        click.echo(f"{video}: {video.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
