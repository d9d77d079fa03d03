"""Sphinx extension: each page tells search engines and link previews what it is.

The description is the page's first paragraph, the picture its first one. Nothing is fetched.
Previews take whole addresses only: picture and address are told where `html_baseurl` says where the
book is read, and left out else.
"""

from __future__ import annotations

import posixpath
import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.errors import ConfigError

LONGEST = 200  # characters of a description; previews cut what is longer
FIRST = "Start"  # the first page in the side bar, whose own title is a sentence


def description(page: nodes.document) -> str:
    """The first paragraph of a page in plain words, cut at the end of a word; "" if it has none."""
    for paragraph in page.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section | nodes.document):
            continue
        words = " ".join(plain(paragraph).split())
        words = re.sub(r",? ?\[[A-Za-z+]+\d\d\w?\]", "", words)  # citations
        words = re.sub(r"\s+([,.;:)])", r"\1", words)
        if len(words) <= LONGEST:
            return words
        return words[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",.;:") + "…"
    return ""


def plain(node: nodes.Node) -> str:
    """The text of a node without what only a browser shows."""
    if isinstance(node, nodes.raw | nodes.comment):
        return ""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math):
        return re.sub(r"\\(?:mathrm|operatorname|boldsymbol)|[{}\\]", "", node.astext())
    return "".join(map(plain, node.children))


def picture(app: Any, page: nodes.document) -> str:
    """Where the first picture of a page lies, from the top of the book; "" if it has none."""
    for image in page.findall(nodes.image):
        name = app.builder.images.get(image["uri"])
        if name and not name.endswith(".svg"):  # previews show no drawings
            return posixpath.join(app.builder.imagedir, name)
    return ""


def check(_app: Any, config: Any) -> None:
    """Take an address without its last slash, too; ConfigError if it is none."""
    base = config.html_baseurl
    if base and not re.match(r"https?://[^/]", base):
        raise ConfigError(f"html.baseurl needs a whole address like https://..., got {base!r}")
    config.html_baseurl = base and base.rstrip("/") + "/"


def tell(app: Any, name: str, _template: str, context: dict[str, Any], page: Any) -> None:
    """Add the tags to the page's head."""
    about = app.config.html_title or app.config.project
    said = (
        description(page) if page is not None else ""
    ) or f"{about}: {context.get('title', name)}"
    base, here = app.config.html_baseurl, app.builder.get_target_uri(name)
    tags = {
        "og:type": "website" if name == app.config.root_doc else "article",
        "og:site_name": about,
        "og:title": re.sub(r"<.*?>", "", context.get("title", "")) or about,
        "og:description": said,
    }
    if base:
        tags["og:url"] = posixpath.join(base, here)
        if page is not None and (shown := picture(app, page)):
            tags["og:image"] = posixpath.join(base, shown)
    lines = [f'<meta name="description" content="{escape(said, quote=True)}">']
    lines += [
        f'<meta property="{key}" content="{escape(v, quote=True)}">' for key, v in tags.items()
    ]
    kind = "summary_large_image" if "og:image" in tags else "summary"
    lines.append(f'<meta name="twitter:card" content="{kind}">')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)
    context["root_title"] = FIRST


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", check)
    app.connect("html-page-context", tell, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
