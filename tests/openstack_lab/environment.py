# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install what the lab runs: each service in an environment of its own, from PyPI. MariaDB comes from the system.

    python tests/openstack_lab/environment.py
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if not __package__:  # run as a file: make it part of the package that it belongs to
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from .lab import LabError  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SERVICES = ("keystone", "trove", "swift")
PYTHONS = ("3.11", "3.12", "3.13")
DEBIAN = "apt-get install mariadb-server mariadb-backup"
# Not on everyone's PATH.
SERVER_FOLDER = "/usr/sbin"
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-backup", "mbstream", "gzip")


def cache() -> Path:
    """The folder for everything that is worth keeping between two runs."""
    return Path(os.environ.get("OPENSTACK_LAB_CACHE") or ROOT / "build/openstack")


def programs() -> dict[str, str]:
    """Where MariaDB's programs are."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + SERVER_FOLDER
    found = {name: shutil.which(name, path=path) for name in PROGRAMS}
    missing = [name for name, program in found.items() if not program]
    if missing:
        raise LabError(f"missing: {', '.join(missing)}. On Debian and Ubuntu, as root:   {DEBIAN}")
    return {name: str(program) for name, program in found.items()}


def ensure() -> dict[str, Path]:
    """The interpreter of each service's environment, made or brought up to date as needed."""
    folder = cache() / "venv"
    folder.mkdir(parents=True, exist_ok=True)
    with (cache() / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stale = [service for service in SERVICES if not is_current(folder / service, service)]
        if stale:
            python = find_python()
            print(f"Installing into {folder}, from PyPI or your pip's index: {' '.join(stale)}", file=sys.stderr)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda service: install(folder / service, service, python), stale))
    return {service: folder / service / "bin/python" for service in SERVICES}


def requirements(service: str) -> Path:
    return HERE / "requirements" / f"{service}.txt"


def is_current(folder: Path, service: str) -> bool:
    """The stamp holds the path too: an environment knows its own, and a checkout may be moved."""
    try:
        return (folder / "installed").read_text() == stamp(folder, service) and (folder / "bin/python").exists()
    except OSError:
        return False


def stamp(folder: Path, service: str) -> str:
    return f"{folder}\n{requirements(service).read_text()}"


def install(folder: Path, service: str, python: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    log = folder.with_name(f"{service}.log")
    for command in ([python, "-m", "venv", str(folder)],
                    [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "-r",
                     str(requirements(service))]):
        with log.open("wb") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                  check=False)
        if done.returncode:
            raise LabError(f"{' '.join(command)} failed (all of its output: {log}):\n{log.read_text()[-2000:]}\n"
                           "Behind a mirror or a proxy, tell pip as usual: PIP_INDEX_URL, PIP_PROXY, pip.conf.")
    (folder / "installed").write_text(stamp(folder, service))


def find_python() -> str:
    """An interpreter of a version that these services run on, and that can make environments."""
    folders = [Path(sys.executable).resolve().parent]
    folders += [Path(name) for name in os.environ.get("PATH", os.defpath).split(os.pathsep)
                if name and Path(name).name != "shims"]
    homes = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions"),
             Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")]
    folders += [folder for home in homes for folder in sorted(home.glob("*/bin"))]
    probe = "import venv, ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    for version in PYTHONS:
        for folder in folders:
            program = folder / f"python{version}"
            if not program.exists():
                continue
            answer = subprocess.run([program, "-c", probe], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return str(program)
    raise LabError(f"Keystone, Trove and Swift need Python {' or '.join(PYTHONS)} with venv and ensurepip, and there "
                   "is none here. On Debian and Ubuntu:   apt-get install python3.11 python3.11-venv   "
                   "(or with pyenv or uv)")


if __name__ == "__main__":
    try:
        programs()
        ensure()
    except LabError as reason:
        sys.exit(str(reason))
