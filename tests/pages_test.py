# SPDX-License-Identifier: Apache-2.0
"""Links between the pages of the repository lead somewhere."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_links_of_pages():
    pages = [p for top in ("README.md", "apps", "lib", "kernels", "datasets", "experiments", "plots", "tests")
             for p in ([ROOT / top] if top.endswith(".md") else (ROOT / top).rglob("*.md"))]
    links = [(p, link) for p in pages for link in re.findall(r"\]\(([^)#\s]+)", p.read_text()) if "://" not in link]
    assert len(links) > 30
    broken = [f"{p.relative_to(ROOT)}: {link}" for p, link in links if not (p.parent / link).exists()]
    assert not broken, "\n".join(broken)


def test_every_page_is_linked_from_another():
    pages = {p.resolve() for top in ("apps", "lib") for p in (ROOT / top).rglob("*.md") if p.name != "README.md"}
    linked = {(p.parent / link).resolve() for p in ROOT.rglob("README.md")
              for link in re.findall(r"\]\(([^)#\s]+)", p.read_text())}
    assert pages and pages <= linked, pages - linked
