"""What can be shown on every machine: the sample media beside the project, else a portrait of an installed package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from edge_agents.emotion_sensor.errors import SourceUnavailable
from edge_agents.emotion_sensor.sources import PICTURES, VIDEOS, Pictures, Playlist, Source, Video

PORTRAIT = ("matplotlib", "grace_hopper.jpg")
# Of the sample videos only those whose faces are large enough to read an expression from.
SAMPLE_VIDEO = "short_hamilton_clip.mp4"


def demo_source(media: Path | None, seconds: float) -> Source:
    """An endless playlist of `media` (or of the sample media beside the project), or of the portrait.

    Raises SourceUnavailable when `media` is given and holds nothing, or when there is nothing at all.
    """
    folder = media or _sample_media()
    if folder is None:
        return Playlist([Pictures([portrait()], seconds)], loop=True)
    pictures = sorted(path for path in _either(folder, "faces").iterdir() if path.suffix.lower() in PICTURES)
    videos = sorted(path for path in _either(folder, "video").iterdir() if path.suffix.lower() in VIDEOS)
    if media is None:
        videos = [path for path in videos if path.name == SAMPLE_VIDEO]
    sources: list[Source] = [Pictures(pictures, seconds)] if pictures else []
    sources += [Video(str(path)) for path in videos]
    if not sources:
        raise SourceUnavailable(f"{folder} holds no pictures and no videos")
    return Playlist(sources, loop=True)


def portrait() -> Path:
    """The sample portrait inside the installed matplotlib, found without importing it."""
    package, name = PORTRAIT
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise SourceUnavailable(
        f"there is nothing to show: {package}, whose sample portrait the demo uses, is not installed; "
        "name --camera, --video, --pictures or --media"
    )


def _sample_media() -> Path | None:
    """`../shared/media` of the checkout, or of the folder the sensor was started in."""
    places = (Path(__file__).resolve().parents[2].parent, Path.cwd().parent)
    return next(
        (place / "shared" / "media" for place in places if (place / "shared" / "media" / "faces").is_dir()), None
    )


def _either(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise SourceUnavailable(f"the folder {folder} does not exist")
    return folder / name if (folder / name).is_dir() else folder
