# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine has, and the environment that the test tools get: nothing of the user's Ansible settings or
credentials, and a home below build/, so that no tool writes outside the checkout."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import ansible_test
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS, REMOTE_ONLY_PYTHON_VERSIONS

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
HOME = BUILD / "home"
THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

# A token in the user's shell must never reach a test, nor may the user's ansible.cfg decide how tests end.
FOREIGN = ("ANSIBLE_", "CLOUD66_", "RESTORABLE_", "MOLECULE_", "GALAXY_IMPORTER_", "GIT_", "PYTEST_", "PYTHON")


def real_pythons() -> dict[str, Path]:
    """Python version -> folder of an interpreter that can make environments. Shims are not taken: they answer to the
    name of versions that they then do not run."""
    homes = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions"),
             Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")]
    folders = [Path(sys.executable).parent]
    folders += [folder for home in homes for folder in sorted(home.glob("*/bin"))]
    folders += [Path(folder) for folder in path_without_shims()]
    found: dict[str, Path] = {}
    for version in (*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS):
        for folder in folders:
            program = folder / f"python{version}"
            if program.exists() and can_make_environments(program, version):
                found[version] = folder
                break
    return found


def can_make_environments(program: Path, version: str) -> bool:
    probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([program, "-c", probe], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version


def path_without_shims() -> list[str]:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [folder for folder in folders if folder and Path(folder).name != "shims"]


def test_environment(pythons: dict[str, Path]) -> dict[str, str]:
    HOME.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    folders = [str(Path(sys.executable).parent), *map(str, pythons.values()), *path_without_shims()]
    env.update(
        PATH=os.pathsep.join(dict.fromkeys(folders)),
        HOME=str(HOME),
        XDG_CONFIG_HOME=str(HOME / ".config"),
        XDG_CACHE_HOME=str(HOME / ".cache"),
        XDG_DATA_HOME=str(HOME / ".local/share"),
        ANSIBLE_HOME=str(HOME / ".ansible"),
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        PYTHONPYCACHEPREFIX=str(BUILD / "pycache"),
    )
    if not re.search(r"utf-?8", env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "", re.IGNORECASE):
        env["LC_ALL"] = "C.UTF-8"
    return env


def carry_over_pip_settings() -> None:
    """Pip must reach its index under the other home too. ansible-test also drops PIP_* and proxy variables, so the
    settings, wherever the user keeps them, become one file."""
    # It prints through its log, which PIP_QUIET would silence.
    answer = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True,
                            env={**os.environ, "PIP_QUIET": "0"})
    # Errors only: otherwise pip's chatter hides what ansible-test found.
    settings: dict[str, dict[str, str]] = {"global": {"quiet": "2"}}
    # Variables win over files, as with pip itself.
    for line in sorted(answer.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _separator, value = line.partition("=")
        section, _dot, option = name.rpartition(".")
        if section and option != "quiet":
            section = "global" if section == ":env:" else section
            # Pip prints Python's repr of the value; several lines are several values.
            settings.setdefault(section, {})[option] = ast.literal_eval(value).replace("\n", "\n  ")
    proxy = next((os.environ[name] for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
                  if os.environ.get(name)), None)
    if proxy:
        settings["global"].setdefault("proxy", proxy)
    if os.environ.get("SSL_CERT_FILE"):
        settings["global"].setdefault("cert", os.environ["SSL_CERT_FILE"])

    target = HOME / ".config/pip/pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    parser = configparser.RawConfigParser()
    parser.read_dict(settings)
    # An index's address may hold a password.
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        parser.write(file)


def provide_get_pip() -> str | None:
    """Put the stand-in in ansible-test's cache where its download does not work; say so in one line."""
    package = Path(next(iter(ansible_test.__path__)))
    requirements = (package / "_internal/python_requirements.py").read_text(encoding="utf-8")
    bootstrap = (package / "_util/target/setup/requirements.py").read_text(encoding="utf-8")
    versions = sorted(set(re.findall(r"\bpip='([0-9.]+)'", requirements)))
    address = re.search(r"'(https://[^']*get-pip-%s\.py)'", bootstrap)
    if not versions or not address:
        return None  # another ansible-test than those known: let it do as it does
    cache = HOME / ".ansible/test/cache"
    missing = [version for version in versions if not (cache / f"get_pip_{version.replace('.', '_')}.py").exists()]
    if not missing:
        return None
    try:
        request = urllib.request.Request(address[1] % missing[0], method="HEAD")
        with urllib.request.urlopen(request, timeout=5):
            return None
    except OSError as reason:
        cache.mkdir(parents=True, exist_ok=True)
        for version in missing:
            shutil.copy(Path(__file__).with_name("bootstrap_pip.py"),
                        cache / f"get_pip_{version.replace('.', '_')}.py")
        return f"ansible-test cannot download get-pip ({reason}): Python's own pip installs it instead."
