# SPDX-License-Identifier: Apache-2.0
"""A DocBook/Publican book in HTML as plain text: pages in reading order, no navigation."""
import html.parser
import pathlib
import re

_VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}
_SKIP_TAGS = {"head", "script", "style", "nav"}
_SKIP_IDS = {"banner", "title"}
_SKIP_CLASSES = {"docnav", "toc", "breadcrumbs"}
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "dt", "dd", "li",
           "table", "tr", "pre", "blockquote", "body", "hr"}


class _Text(html.parser.HTMLParser):
    """Collects paragraphs; `next` is the page that <link rel="next"> names."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.line = [], []
        self.open = []  # (tag, skipped, preformatted) of every open element
        self.next = None

    def _flush(self):
        text = "".join(self.line)
        self.line = []
        if not self._preformatted():
            text = re.sub(r"[ \t\r\n]+", " ", text)
        text = "\n".join(row.rstrip() for row in text.strip("\n").split("\n")).strip()
        if text.strip("-* "):
            self.paragraphs.append(text)

    def _preformatted(self):
        return bool(self.open) and self.open[-1][2]

    def _skipped(self):
        return bool(self.open) and self.open[-1][1]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "link" and attrs.get("rel") == "next":
            self.next = attrs.get("href")
        skip = (self._skipped() or tag in _SKIP_TAGS or attrs.get("id") in _SKIP_IDS
                or not _SKIP_CLASSES.isdisjoint((attrs.get("class") or "").split()))
        if not skip:
            if tag in _BLOCKS:
                self._flush()
            if tag == "li":
                self.line.append("- ")
            elif tag == "br":
                self.line.append("\n" if self._preformatted() else " ")
            elif tag in ("td", "th"):
                self.line.append(" ")
        if tag not in _VOID:
            self.open.append((tag, skip, tag == "pre" or self._preformatted()))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in _VOID or not any(tag == t for t, *_ in self.open):
            return
        if tag in _BLOCKS and not self._skipped():
            self._flush()
        while self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not self._skipped():
            self.line.append(data)

    def close(self):
        super().close()
        self._flush()


def page_text(source):
    """(text of one page, name of the next page or None)."""
    parser = _Text()
    parser.feed(source)
    parser.close()
    return "\n\n".join(parser.paragraphs), parser.next


def book_text(folder, first="index.html"):
    """Text of the pages of `folder` from `first` along their "next" links, as UTF-8 bytes."""
    folder, page, seen, texts = pathlib.Path(folder), first, set(), []
    while page and page not in seen and "/" not in page:
        seen.add(page)
        text, page = page_text((folder / page).read_text(encoding="utf-8"))
        if text:
            texts.append(text)
    return ("\n\n\n".join(texts) + "\n").encode()
