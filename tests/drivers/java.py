"""Run one static Java method on texts without a Java compiler: the class that calls it is assembled here.

The embedded Kafka's JRE has no compiler. A class without branches needs no stack maps, so a constant pool and a
straight line of nine instructions per call are all there is (JVM specification, chapter 4).
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CLASS_VERSION = 49  # Java 5: verified without stack maps
_PUBLIC_STATIC = 0x0009


class _Pool:
    """A class file's constant pool; every method returns an index."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []

    def _add(self, entry: bytes) -> int:
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry) + 1

    def utf8(self, text: str) -> int:
        data = text.encode()
        return self._add(struct.pack(">BH", 1, len(data)) + data)

    def owner(self, name: str) -> int:
        return self._add(struct.pack(">BH", 7, self.utf8(name)))

    def text(self, value: str) -> int:
        return self._add(struct.pack(">BH", 8, self.utf8(value)))

    def member(self, tag: int, owner: str, name: str, kind: str) -> int:
        named = self._add(struct.pack(">BHH", 12, self.utf8(name), self.utf8(kind)))
        return self._add(struct.pack(">BHH", tag, self.owner(owner), named))

    def field(self, owner: str, name: str, kind: str) -> int:
        return self.member(9, owner, name, kind)

    def method(self, owner: str, name: str, kind: str) -> int:
        return self.member(10, owner, name, kind)


def partition_class(owner: str, method: str, texts: Sequence[str], partitions: int) -> bytes:
    """Class `Partitions` whose main prints `owner.method(text.getBytes("UTF-8"), partitions)` for every text.

    `owner` is written with slashes; texts are without NUL and characters beyond the basic plane.
    """
    pool = _Pool()
    out = pool.field("java/lang/System", "out", "Ljava/io/PrintStream;")
    to_bytes = pool.method("java/lang/String", "getBytes", "(Ljava/lang/String;)[B")
    chosen = pool.method(owner, method, "([BI)I")
    show = pool.method("java/io/PrintStream", "println", "(I)V")
    code = b""
    for text in texts:
        code += struct.pack(">BHBHBHBH", 0xB2, out, 0x13, pool.text(text), 0x13, pool.text("UTF-8"), 0xB6, to_bytes)
        code += struct.pack(">BHBHBH", 0x11, partitions, 0xB8, chosen, 0xB6, show)
    code += b"\xb1"
    body = struct.pack(">HHI", 4, 1, len(code)) + code + struct.pack(">HH", 0, 0)
    main = struct.pack(
        ">HHHHHI",
        _PUBLIC_STATIC,
        pool.utf8("main"),
        pool.utf8("([Ljava/lang/String;)V"),
        1,
        pool.utf8("Code"),
        len(body),
    )
    this, parent = pool.owner("Partitions"), pool.owner("java/lang/Object")
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, _CLASS_VERSION, len(pool.entries) + 1) + b"".join(pool.entries)
    return head + struct.pack(">HHHHHH", 0x0021, this, parent, 0, 0, 1) + main + body + struct.pack(">H", 0)


def run_partitions(folder: Path, jars: Path, java: Path, class_file: bytes) -> list[int]:
    """What the class prints, with every jar of `jars` on the class path."""
    (folder / "Partitions.class").write_bytes(class_file)
    command = [str(java), "-cp", f"{folder}:{jars}/*", "Partitions"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [int(line) for line in done.stdout.split()]
