"""deploy/: what can be checked of it without a Docker daemon and without being the machine's init."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("mutuals.service", "mutuals-campaign@.service", "mutuals-campaign@.timer")


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_a_service_can_write_to_its_home_alone_and_has_no_secret(name: str) -> None:
    text = (DEPLOY / name).read_text()
    for line in (
        *(
            "ProtectSystem=strict",
            "NoNewPrivileges=true",
            "StateDirectory=mutuals",
            "StateDirectoryMode=0700",
        ),
        *("UMask=0077", "User=mutuals", "CapabilityBoundingSet=", "LimitCORE=0", "MemorySwapMax=0"),
    ):
        assert line in text.splitlines(), line
    assert not re.search(r"^Environment=.*PASS(?!PHRASE_FILE=%d/)", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        # It looks for the programs, too, which are where the documentation puts them.
        (tmp_path / name).write_text(re.sub(r"/opt/mutuals/bin/\S+", "/bin/sh", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(tmp_path) not in done.stderr, done.stderr


def test_the_image_holds_no_secret_and_is_no_root() -> None:
    steps = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    final = steps.split("\nFROM ")[-1]
    assert re.findall(r"^USER (\S+)", final, re.MULTILINE) == ["10001:10001"]
    for install in re.findall(r"pip install ([^&\n]+)", steps):
        assert install.startswith(("--require-hashes --only-binary :all: -r lock/", "--no-deps --no-index"))
    assert not re.search(r"^(ARG|ENV).*(PASS|SECRET|TOKEN|KEY)", steps, re.MULTILINE | re.IGNORECASE)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copied in re.findall(r"^COPY (.+)$", steps, re.MULTILINE):
        words = [word for word in copied.split() if not word.startswith("--")]
        if "--from" not in copied:
            for source in words[:-1]:
                assert (ROOT / source).exists()
                assert source in allowed


def test_the_pair_shares_a_network_and_no_home() -> None:
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = composed["services"]
    homes = {
        name: [one for one in service["volumes"] if "-home:" in one] for name, service in services.items()
    }
    assert homes == {
        "acme": ["acme-home:/var/lib/mutuals"],
        "beta": ["beta-home:/var/lib/mutuals"],
        "campaign": ["acme-home:/var/lib/mutuals"],
    }
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "ports" not in service
        assert all(one.endswith(":ro") for one in service["volumes"] if "-home:" not in one)
    assert (DEPLOY / services["acme"]["build"]["context"] / services["acme"]["build"]["dockerfile"]).is_file()


def test_the_script_is_sound_bash_and_executable() -> None:
    script = DEPLOY / "campaign.sh"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
