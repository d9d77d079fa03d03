// What the theme leaves undone for people who use a keyboard or a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  const each = (selector, change) => document.querySelectorAll(selector).forEach(change);
  // the label hides the visible words "Show code cell source"
  each("details.hide > summary[aria-label]", e => e.removeAttribute("aria-label"));
  // roles that ARIA no longer knows, or allows only inside others
  each(".citation-list [role=doc-backlink]", e => e.removeAttribute("role"));
  each(".citation-list > [role=doc-biblioentry]", e => e.setAttribute("role", "listitem"));
  // header cells: an empty one is no header, and a style's first column names its row
  each(".cell_output thead th", e => {
    if (!e.textContent.trim()) e.outerHTML = e.outerHTML.replace(/^<th/, "<td").replace(/th>$/, "td>");
  });
  each("table.dataframe tbody th:first-child", e => e.setAttribute("scope", "row"));
  each(".sidebar-primary-items__start", e => { e.setAttribute("role", "region"); e.setAttribute("aria-label", "Book"); });
  each(".toctree-l1 > details > summary", e => e.setAttribute("aria-label", "Pages of: " + e.closest("li").querySelector("a").textContent.trim()));
  each(".search-button-field", e => e.removeAttribute("aria-label"));
  // a full stop does not begin a line, nor does a bracket end one: they stay with their formula
  each("span.math", e => {
    const before = /[([]+$/.exec(e.previousSibling?.data), after = /^[.,;:?!)\]]+/.exec(e.nextSibling?.data);
    if (!before && !after) return;
    const whole = document.createElement("span");
    whole.style.whiteSpace = "nowrap";
    if (after) e.nextSibling.splitText(after[0].length);
    const own = [...before ? [e.previousSibling.splitText(before.index)] : [], e, ...after ? [e.nextSibling] : []];
    own[0].before(whole);
    whole.append(...own);
  });
  // nor does one end inside "β = 10", or behind the dashes of an option
  const texts = (e, change) => {
    const walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), found = [];
    while (walk.nextNode()) found.push(walk.currentNode);
    found.forEach(change);
  };
  each(".bd-article :is(p, li, dd, td, summary, figcaption, caption):not(#explorer *, .live-picture *, [aria-live])", e => texts(e, text => {
    if (!text.parentElement.closest("code, pre, svg"))
      text.data = text.data.replace(/(^|\S) ([=≥≤<>]) (?=[\dck−])/g, "$1\u00a0$2\u00a0").replace(/\b(FAR|MAR|AUC|round) (?=\d)/g, "$1\u00a0").replace(/FAR \/ MAR/g, "FAR\u00a0/\u00a0MAR");
  }));
  each(".bd-article :is(pre, code)", e => texts(e, text => {
    for (let option; option = /--[\w-]+/.exec(text.data);) {
      const whole = document.createElement("span"), own = text.splitText(option.index);
      whole.style.whiteSpace = "nowrap";
      text = own.splitText(option[0].length);
      own.before(whole);
      whole.append(own);
    }
  }));
  // what scrolls sideways must be reachable with the keyboard
  const scrolling = ".tag_wide-figure .cell_output, figure.wide, .output.text_html, .pdrr-scroll, .pst-scrollable-table-container, div.math, pre";
  const reach = () => each(scrolling, e => { if (e.scrollWidth > e.clientWidth) e.tabIndex = 0; });
  addEventListener("load", reach);
  addEventListener("resize", reach);
  // and a line at its edge says that there is more
  const boxes = ".cell_output .text_html:has(table), .pst-scrollable-table-container, .pdrr-scroll, .highlight-output pre, div.math";
  const mark = e => e.classList.toggle("more", e.scrollWidth - e.scrollLeft - e.clientWidth > 2);
  const marks = () => each(boxes, mark);
  each(boxes, e => e.addEventListener("scroll", () => mark(e), { passive: true }));
  addEventListener("load", marks);
  addEventListener("resize", marks);
});
