"""Renders every overlay offline and validates it strictly; lints the Dockerfiles; runs the project's own rules."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
KUBERNETES = "1.32"


def rendered(overlay: Path) -> str:
    """Return the documents of an overlay.

    Raises:
        SystemExit: it does not render; kubectl has said why.
    """
    done = subprocess.run(
        [str(PROGRAMS / "kubectl"), "kustomize", str(overlay)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{overlay.name} does not render:\n{done.stderr}")
    return done.stdout


def validate(overlay: Path, text: str) -> None:
    """Check every document of an overlay against the schema of its kind, without unknown fields.

    Raises:
        SystemExit: one is invalid, or of a kind without a schema.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        command = [str(PROGRAMS / "kubernetes-validate"), "-k", KUBERNETES, "--strict", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    # A kind that the tool has no schema for is only a warning there: what was not checked must not pass.
    bad = [line for line in output.splitlines() if not line.startswith("INFO")]
    if done.returncode or bad:
        raise SystemExit(f"{overlay.name} is not valid:\n" + "\n".join(bad))
    print(f"  {overlay.name}: {text.count(chr(10) + 'kind: ')} documents valid for Kubernetes {KUBERNETES}")


def main() -> None:
    """Run every check.

    Raises:
        SystemExit: one failed.
    """
    for overlay in sorted((ROOT / "deploy" / "overlays").iterdir()):
        validate(overlay, rendered(overlay))
    dockerfiles = [str(path) for path in sorted(ROOT.glob("*/Dockerfile"))]
    subprocess.run([str(PROGRAMS / "hadolint"), *dockerfiles], check=True)
    print(f"  {len(dockerfiles)} Dockerfiles accepted")
    rules = [sys.executable, "-m", "pytest", "-q", "tests/deploy"]
    raise SystemExit(subprocess.run(rules, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
