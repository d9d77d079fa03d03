"""Sphinx extension: pages that ask no other host for anything, and load no script twice.

MathJax is one file, taken from the installed package `sphinx-mathjax-offline`. (Loading that
package as an extension would copy all of its 24 MB and choose another output format.)
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MATHJAX = "mathjax/tex-svg-full.js"  # fonts are inside: nothing else is fetched


def clean_scripts(_app: Any, _page: str, _template: str, context: dict[str, Any], _tree: Any):
    """Drop repeated scripts, and the buttons that would run code on a server elsewhere."""
    seen, kept = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body") or ""
        name = body.split("=")[0] or str(getattr(script, "filename", script))
        if name in seen or "thebe" in name.lower() or name.startswith(("http:", "https:", "//")):
            continue
        seen.add(name)
        kept.append(script)
    context["script_files"] = kept


def copy_mathjax(app: Any, failure: Exception | None) -> None:
    """Put MathJax beside the other static files."""
    if failure is not None or app.builder.format != "html":
        return
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the book needs sphinx-mathjax-offline: pip install -e '.[docs]'")
    target = Path(app.outdir, "_static", MATHJAX)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(spec.origin).parent / "static" / MATHJAX, target)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("html-page-context", clean_scripts, priority=999)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
