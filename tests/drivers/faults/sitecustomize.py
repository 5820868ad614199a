"""Found by the interpreter of every process of a stack under test: kills that process at a chosen point, once.

The point is chosen while the stack runs: a file named after it appears in SENSORIUM_FAULTS; the process that comes by
takes the file away and dies of SIGKILL (where the file says `stop`, it stands still by SIGSTOP). Nothing of this is
in the product.
"""

import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ.get("SENSORIUM_FAULTS", "/nonexistent"))


def die_here(point):
    done = FOLDER / f"{point}.done"
    try:
        (FOLDER / point).rename(done)
    except OSError:
        return
    # To this thread: a process's SIGSTOP waits for the main thread's turn, and on a busy machine this one goes on.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP if done.read_text() == "stop" else signal.SIGKILL)


def around(owner, name, before=None, after=None):
    original = getattr(owner, name)

    @functools.wraps(original)
    def patched(*arguments, **named):
        if before:
            die_here(before)
        result = original(*arguments, **named)
        if after:
            die_here(after)
        return result

    setattr(owner, name, patched)


def patch_publisher(module):
    around(module.Publisher, "_produce", before="front.unsent", after="front.sent")
    around(module.Publisher, "_delivered", before="front.acknowledged")


def patch_store(module):
    original = module.Store.batch

    @contextmanager
    def batch(self, expected, state):
        with original(self, expected, state) as transaction:
            yield transaction
            die_here("projector.uncommitted")
        die_here("projector.committed")

    module.Store.batch = batch
    around(module.Batch, "advance", before="projector.unadvanced")


def patch_lanes(module):
    original = module.deliver

    async def deliver(outputs, *arguments):
        if outputs:
            die_here("processors.undelivered")
        await original(outputs, *arguments)
        if outputs:
            die_here("processors.delivered")

    module.deliver = deliver


def patch_committer(module):
    around(module.Committer, "_snapshot_due", before="processors.committed")


def patch_transactions(module):
    around(module.Transactions, "open", after="deciders.opened")
    around(module.Transactions, "_produce", before="deciders.unsent", after="deciders.sent")
    around(module.Transactions, "_insist", before="deciders.uncommitted", after="deciders.committed")


def patch_lane(module):
    around(module, "settle", before="deciders.undecided", after="deciders.decided")
    around(module.Lane, "_answer", before="deciders.unanswered", after="deciders.answered")


def patch_orchestrator(module):
    around(module.Orchestrator, "open", before="orchestrator.started", after="orchestrator.opened")
    around(module.Orchestrator, "_ask", before="orchestrator.unasked", after="orchestrator.asked")
    around(module.Agenda, "note", after="orchestrator.noted")
    around(module.Agenda, "asked", after="orchestrator.done")


def patch_journal(service):
    """The result of expensive work is on the disk, and nobody has heard of it yet."""
    return lambda module: around(module.Journal, "put", after=f"{service}.kept")


def patch_leases(module):
    """Leases that a test can wait for."""
    lease_s = os.environ.get("SENSORIUM_LEASE_S")
    if lease_s:
        module.Terms.__init__.__defaults__ = (float(lease_s), *module.Terms.__init__.__defaults__[1:])


def without_key(module):
    """A build without deduplication: no key on the points, and every point counts as new."""
    original = module.tables
    key = "PRIMARY KEY (person_id, t_ms, track_id)"

    def tables(schema):
        made = original(schema)
        texts = [made] if isinstance(made, str) else list(made)
        assert any(key in text for text in texts), "the key to leave out is not there"
        texts = [text.replace(key, "CHECK (true)") for text in texts]
        return texts[0] if isinstance(made, str) else type(made)(texts)

    module.tables = tables


def without_judgement(module):
    import numpy as np

    original = module._judge

    def judge(points, keys, people, *, distrust):
        verdict = original(points, keys, people, distrust=False)
        everything = np.ones(len(points), np.bool_)
        return module.Verdict(verdict.number, verdict.order, everything, ~everything)

    module._judge = judge


PATCHES = {
    ("serve", "front"): {"producers.publisher": patch_publisher},
    ("serve", "projector"): {"projections.store": patch_store},
    ("serve", "processors"): {
        "streams.runtime.lane": patch_lanes,
        "streams.runtime.committer": patch_committer,
        "streams.workers.journal": patch_journal("processors"),
    },
    ("serve", "asr"): {
        "streams.workers.journal": patch_journal("asr"),
        "streams.workers.remote_work_leases": patch_leases,
    },
    ("serve", "deciders"): {
        "streams.deciding.transactions": patch_transactions,
        "streams.deciding.lane": patch_lane,
    },
    ("serve", "orchestrator"): {"streams.orchestrator.worker": patch_orchestrator},
}
WITHOUT_DEDUPLICATION = {
    "projections.emotion_tables": without_key,
    "projections.projectors.emotion_logs": without_judgement,
}


class Patching(importlib.abc.MetaPathFinder):
    """Lets the ordinary finder find a module and patches it after it has run."""

    def __init__(self, patches):
        self.patches = patches

    def find_spec(self, name, path, target=None):
        if name not in self.patches:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            self.patches[name](module)

        spec.loader.exec_module = exec_module
        return spec


arguments = getattr(sys, "orig_argv", [])
for words, patches in PATCHES.items():
    if all(word in arguments for word in words):
        sys.meta_path.insert(0, Patching(patches))
if os.environ.get("SENSORIUM_WITHOUT_DEDUPLICATION"):
    sys.meta_path.insert(0, Patching(WITHOUT_DEDUPLICATION))
