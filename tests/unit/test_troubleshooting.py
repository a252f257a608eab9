"""The messages that the page on troubles quotes are messages that the code gives."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def source() -> str:
    """All code and pages, with strings that were broken over lines joined."""
    files = [
        path
        for package in ("worldloom", "cluster", "actors")
        for suffix in ("*.py", "model.js")
        for path in sorted((ROOT / package).rglob(suffix))
    ]
    text = "\n".join(path.read_text() for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_every_quoted_message_is_one():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    symptoms = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    quoted = [text for cell in symptoms for text in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 15
    given = source()
    assert [text for text in quoted if text not in given] == []


def test_links_between_pages_lead_somewhere():
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
