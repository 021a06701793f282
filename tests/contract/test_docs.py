"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from kommomesh_runtime.cli import settings_page

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*-service/*.md"), ROOT / "gateway" / "README.md"]


def test_given_settings_page_when_compared_then_it_says_every_setting():
    assert (ROOT / "docs" / "operations" / "settings.md").read_text() == settings_page(), (
        "run: kommomesh settings --markdown > docs/operations/settings.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_given_page_when_its_links_are_followed_then_each_file_exists(page: Path):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [one for one in targets if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_given_readme_when_it_names_make_targets_then_the_makefile_has_them(readme: str):
    makefiles = (ROOT / "Makefile").read_text() + (ROOT / "intent-service" / "intent.mk").read_text()
    named = re.findall(r"(?:^|`|run` )make ([a-z][a-z-]*)", (ROOT / readme).read_text(), re.M)
    assert {"run", "test"} <= set(named)
    assert [target for target in named if not re.search(rf"^{target}:", makefiles, re.M)] == []


def test_given_both_readmes_when_compared_then_they_show_the_same_commands_and_variables():
    def shown(name: str) -> set[str]:
        text = (ROOT / name).read_text()
        return set(re.findall(r"\b(?:MESH|KOMMO|OPENAI|DATABASE)_[A-Z_]+", text)) | set(
            re.findall(r"localhost:\d+", text)
        )

    assert shown("README.md") == shown("README.es.md")
