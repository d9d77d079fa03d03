// The glossary's tips, the verdicts' filter, and folds that open for an address and on paper.
document.addEventListener("DOMContentLoaded", () => {
  // a tip stays inside the column of text, and Escape takes it away
  for (const term of document.querySelectorAll("a.pdrr-term")) {
    const place = () => {
      const tip = parseFloat(getComputedStyle(term, "::after").width) || 0;
      const column = term.closest(".bd-article-container").getBoundingClientRect();
      const past = term.getBoundingClientRect().left + tip + 24 - column.right;
      term.classList.remove("dismissed");
      term.style.setProperty("--shift", `${Math.min(0, -past)}px`);
    };
    term.addEventListener("mouseenter", place);
    term.addEventListener("focus", place);
  }
  document.addEventListener("keydown", event => {
    if (event.key === "Escape")
      for (const term of document.querySelectorAll("a.pdrr-term:is(:hover, :focus)"))
        term.classList.add("dismissed");
  });

  // an address that names what lies in a fold opens it, and so does a word that was searched for
  const unfold = place => {
    for (let fold = place?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  const reveal = () => {
    const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!named) return;
    unfold(named.matches("section") ? named.querySelector("summary") : named);
    named.scrollIntoView();
  };

  // without this script all verdicts are open, one after the other
  for (const place of document.querySelectorAll(".verdicts.whole")) {
    const rows = [...place.querySelectorAll("tbody tr")];
    const folds = [...place.querySelectorAll("details")].slice(1);
    const order = [...place.querySelectorAll(":scope > p .sd-badge")].map(badge => badge.textContent.replace(/^\d+ /, ""));
    const kinds = [...new Set([...order, ...rows.map(row => row.dataset.verdict)])].filter(kind => rows.some(row => row.dataset.verdict === kind));
    const form = document.createElement("form");
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Claims");
    const boxes = kinds.map(kind => `<label><input type="checkbox" value="${kind}" checked>${kind}</label>`);
    form.innerHTML = `<input type="search" aria-label="Words in a claim" placeholder="Words in a claim">${boxes.join("")}<button type="button">Open all</button><output aria-live="polite"></output>`;
    const all = form.querySelector("button");
    const fold = open => {
      for (const each of folds) each.open = open;
      all.textContent = open ? "Close all" : "Open all";
    };
    const show = () => {
      const words = form.querySelector("[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = new Set([...form.querySelectorAll(":checked")].map(box => box.value));
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !chosen.has(row.dataset.verdict) || !words.every(word => text.includes(word));
      }
      for (const part of place.querySelectorAll("section, details"))
        part.hidden = !part.querySelector("tbody tr:not([hidden])");
      const left = rows.filter(row => !row.hidden).length;
      form.querySelector("output").textContent = left < rows.length ? `${left} of ${rows.length} rows` : "";
      fold(left < rows.length);
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", event => event.preventDefault());
    all.addEventListener("click", () => fold(all.textContent === "Open all"));
    place.insertBefore(form, place.querySelector("section"));
    fold(false);
    addEventListener("hashchange", () => { form.reset(); show(); reveal(); });
  }
  reveal();
  addEventListener("hashchange", reveal);
  addEventListener("load", () => document.querySelectorAll("details .highlighted").forEach(unfold));

  // for browsers whose style sheets cannot open a fold
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll(".bd-content details:not(.hide):not([open])")) {
      fold.open = true;
      opened.push(fold);
    }
  });
  addEventListener("afterprint", () => { for (const fold of opened.splice(0)) fold.open = false; });
});
