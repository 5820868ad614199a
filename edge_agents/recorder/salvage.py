"""After a kill or a power cut: what was being written becomes a whole chunk as far as it is sound, or is set aside."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from edge_agents.recorder import ogg
from edge_agents.recorder.chunk_names import HELD
from edge_agents.recorder.spool import Spool

log = logging.getLogger(__name__)


def finish_in_place(path: Path) -> bool:
    """Cut a file after its last whole page and mark that as the end: needs no room. False if there is no sound in it.

    Killed in here, the next call drops one page more at worst. Raises OSError.
    """
    content = path.read_bytes()
    whole = ogg.mended(content)
    if whole is None:
        return False
    with path.open("r+b") as file:
        changed = next((n for n, (old, new) in enumerate(zip(content, whole, strict=False)) if old != new), len(whole))
        file.seek(changed)
        file.write(whole[changed:])
        file.truncate(len(whole))
        file.flush()
        os.fsync(file.fileno())
    return True


def salvage(spool: Spool) -> tuple[int, list[Path]]:
    """Finish or set aside everything unfinished; how many became chunks, and what was unreadable (by its old path)."""
    saved, lost = 0, list[Path]()
    for path in spool.unfinished():
        try:
            # A silent chunk that was held back is whole.
            if path.name.endswith(HELD) or finish_in_place(path):
                spool.publish(path)
                saved += 1
                continue
            if path.stat().st_size == 0:
                spool.disk.remove(path)
            else:
                spool.set_aside(path, "no whole page of sound in it", broken=True)
            lost.append(path)
        except OSError as error:
            log.error("salvage_error", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
    if saved or lost:
        log.warning("unfinished_chunks_found", extra={"salvaged": saved, "unreadable": len(lost)})
    return saved, lost
