"""Files and functions stay small enough to be read at one go."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 50


def python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() or [str(path) for path in ROOT.glob("*/src/**/*.py")]
    return [ROOT / name for name in names if (ROOT / name).exists()]


def test_given_files_when_counted_then_none_is_over_the_limit():
    counted = {path: len(path.read_text().splitlines()) for path in python_files()}
    assert counted
    assert {path: lines for path, lines in counted.items() if lines > MOST_FILE_LINES} == {}


def test_given_functions_when_counted_then_none_is_over_the_limit():
    long = []
    # A migration lists the columns of its tables; cutting that into pieces would make it harder to read.
    for path in (one for one in python_files() if "versions" not in one.parts):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long.append((path.name, node.name, lines))
    assert long == []
