"""Checks of what other users of the machine could read: the files of the home, and the memory of our processes."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.hardening import CORE_FILES, exposure
from mutuals.identity.modes import CHECKED, examine
from mutuals.wording import counted
from mutuals_client.doctor.finding import Finding, Patient, Verdict


def files(patient: Patient) -> Iterator[Finding]:
    """Every file that only we write to is for its owner alone; what was mended just now."""
    if not CHECKED:
        yield Finding(
            Verdict.WARN,
            "File permissions are not checked on this system.",
            "See to it that nobody else can open the home: its folder's properties, Security.",
            {"checked": False},
        )
        return
    if patient.peer is None:
        return
    mended = (*patient.peer.mended, *examine(patient.peer.home, patient.peer.config, thorough=True))
    facts = {
        "checked": True,
        "mended": [
            {"path": str(one.path), "was": f"{one.was:04o}", "now": f"{one.now:04o}"} for one in mended
        ],
    }
    if mended:
        number = counted(len(mended), "file or folder", "files and folders")
        yield Finding(
            Verdict.WARN,
            f"{number} of the home could be reached by other users, and had to be made private.",
            "Find out what opened them: a copy, a restore, or another program.",
            facts,
        )
    else:
        yield Finding(Verdict.OK, "Keys, store, spool and log are for their owner alone.", facts=facts)


def memory(_: Patient) -> Iterator[Finding]:
    """No core file can come of our processes."""
    found = exposure()
    facts = {"core_file_limit": found.limit, "dumpable": found.dumpable, "allowed": found.wanted}
    if found.none:
        yield Finding(Verdict.OK, "No core files are written of processes of mutuals.", facts=facts)
    elif found.wanted:
        yield Finding(
            Verdict.WARN,
            f"{CORE_FILES} is set: a crash may write contacts and keys to a core file.",
            f"Unset it as soon as the fault is found, and destroy the core files: unset {CORE_FILES}",
            facts,
        )
    else:
        yield Finding(
            Verdict.WARN,
            "Core files could not be switched off on this system; a crash may write contacts and keys to one.",
            "Switch them off for the user that runs mutuals.",
            facts,
        )
