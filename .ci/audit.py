"""Known vulnerabilities in the locked packages: `make audit`.

pip-audit ends with 0 although its source of advisories knew none of the packages ("could not be audited"), as behind
a mirror that carries no advisories. Here what was not looked up is a failure of its own, said aloud: 0 means that every
package was looked up and none has a known vulnerability, 1 that one has, 2 that some were left out, or that nothing was
looked up at all, for whatever reason.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PIP_AUDIT = "pip-audit>=2.9,<3"
UV = Path(__file__).parents[1] / ".cache" / "uv" / "bin" / "uv"


class NotAuditedError(RuntimeError):
    """Nothing could be looked up; with why, and what to do."""


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code and what to say about a report of pip-audit (its JSON format).

    Raises:
        NotAuditedError: It is no such report.
    """
    if "dependencies" not in report:
        raise NotAuditedError(
            f"expected a report of pip-audit with its dependencies, got {str(report)[:200]}"
        )
    packages = report["dependencies"]
    left_out = sorted(package["name"] for package in packages if "skip_reason" in package)
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    if left_out or not packages:
        found.append(
            f"NOT AUDITED: {len(left_out)} of {len(packages)} packages are unknown to the source of advisories "
            f"({', '.join(left_out[:5])}...): nothing is known of them. "
            "Run it where the package index's own advisories are reached, and not a mirror."
        )
    is_found = any(package.get("vulns") for package in packages)
    code = 1 if is_found else 2 if left_out or not packages else 0
    return code, found or [f"{len(packages)} packages looked up: no known vulnerability"]


def ask() -> dict[str, Any]:
    """Ask about every package of uv.lock.

    Raises:
        NotAuditedError: uv or pip-audit did not run, or gave no report.
    """
    requirements = _run(
        UV, "export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes"
    )
    file = Path(".cache/audit-requirements.txt")
    file.write_text(requirements.stdout)
    offline = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = _run(UV, "tool", "run", "--from", PIP_AUDIT, "pip-audit", *offline, "--requirement", file)
    try:
        return dict(json.loads(done.stdout))
    except json.JSONDecodeError:
        last = done.stderr.strip().splitlines()[-1:]
        raise NotAuditedError(f"pip-audit gave no report: {last}") from None


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours, every word
    except OSError as error:
        raise NotAuditedError(f"{command[0]} did not run ({error.strerror}): make .venv/.synced") from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--report", type=Path, help="A report of pip-audit in JSON, instead of asking for one."
    )
    given = parser.parse_args().report
    try:
        code, lines = verdict(json.loads(given.read_text()) if given else ask())
    except NotAuditedError as error:
        code, lines = 2, [f"NOT AUDITED: {error}"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(code)
