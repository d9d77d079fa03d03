"""Sphinx extension: the first use of each word of the glossary on a page tells what it means.

The words and their meanings are those of `glossary.md` alone. A page is not written for it: the
word becomes a link to the glossary, with the meaning in `data-tip`, which `book/_static/words.css`
shows to whoever points at the link or reaches it with the keyboard. Math of one symbol counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from docutils import nodes

GLOSSARY = "glossary"
MATHS = {"q": "q", r"\beta": "β"}
# not in headings, links, code and tables, nor where a page lists words or names itself
ASIDE = (nodes.title, nodes.reference, nodes.literal, nodes.entry, nodes.caption, nodes.rubric)
WITHOUT = (GLOSSARY, "notation", "reference", "bibliography", "changelog", "status")


def meanings(glossary: nodes.document) -> dict[str, tuple[str, str]]:
    """Word -> (anchor on the glossary's page, meaning as plain text), in the glossary's order.

    Words of one entry share what it says.
    """
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        said = " ".join(item[-1].astext().split())
        for term in item.findall(nodes.term):
            found[term.astext()] = (term["ids"][0], said)
    return found


def places(page: nodes.document, words: dict[str, Any]) -> Iterator[tuple[nodes.Node, str, int]]:
    """Where a page first uses the meaning of a word: node, word, and where in a text it begins."""
    longest = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w-])(?:{longest})(?![\w-])")
    told = set()
    for node in [*page.findall(lambda each: isinstance(each, nodes.Text | nodes.math))]:
        if not in_prose(node):
            continue
        if isinstance(node, nodes.math):
            uses = [(MATHS[node.astext()], 0)] if node.astext() in MATHS else []
        else:
            uses = [(match[0], match.start()) for match in pattern.finditer(node.astext())]
        for word, begin in uses:
            if word in words and words[word][1] not in told:
                told.add(words[word][1])
                yield node, word, begin


def in_prose(node: nodes.Node) -> bool:
    """Whether a text stands in a paragraph, and in nothing that has a use of its own."""
    above = [node.parent]
    while above[-1].parent is not None:
        above.append(above[-1].parent)
    return (
        any(isinstance(each, nodes.paragraph) for each in above)
        and not any(isinstance(each, ASIDE) for each in above)
        and not isinstance(above[0], nodes.math)
    )


def mark(app: Any, page: nodes.document, name: str) -> None:
    """Put the links around the words."""
    if app.builder.format != "html" or name in WITHOUT or GLOSSARY not in app.env.found_docs:
        return
    words = meanings(app.env.get_doctree(GLOSSARY))
    found: dict[nodes.Node, list[tuple[str, int]]] = {}
    for node, word, begin in places(page, words):
        found.setdefault(node, []).append((word, begin))
    here = app.builder.get_relative_uri(name, GLOSSARY)
    for node, uses in found.items():
        text, end, parts = node.astext(), 0, []
        for word, begin in uses:
            anchor, said = words[word]
            tip = escape(said, quote=True)
            opened = (
                f'<a class="pdrr-term" href="{here}#{anchor}" data-tip="{tip}"'
                f' aria-description="{tip}">'
            )
            inner = node.deepcopy() if isinstance(node, nodes.math) else nodes.Text(word)
            parts += [nodes.Text(text[end:begin])] if begin > end else []
            parts += [raw(opened), inner, raw("</a>")]
            end = len(text) if isinstance(node, nodes.math) else begin + len(word)
        parts += [nodes.Text(text[end:])] if end < len(text) else []
        node.parent.replace(node, parts)


def raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
