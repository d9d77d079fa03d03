// The landing page: the picture's rule and threshold, and the citation to the clipboard.
(() => {
  "use strict";
  const cite = document.querySelector("details.cite");
  cite?.addEventListener("toggle", async () => {
    if (!cite.open) return;
    const text = cite.querySelector("pre").textContent, summary = cite.querySelector("summary");
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(cite.querySelector("pre"));
      copied = document.execCommand("copy");
    }
    summary.textContent = copied ? "Cite (copied)" : "Cite";
    setTimeout(() => { summary.textContent = "Cite"; }, 4000);
  });

  const picture = document.getElementById("live-picture");
  if (!picture) return;
  const rounds = [...picture.querySelectorAll(".live-round")];
  const controls = picture.querySelector(".live-controls");
  const select = controls.querySelector("select"), range = controls.querySelector("input");
  const output = controls.querySelector("output");
  const many = n => n === 0 ? "no honest client" : `${n} honest client${n > 1 ? "s" : ""}`;

  function draw() {
    const q = Number(range.value), round = rounds.find(each => each.dataset.rule === select.value);
    const found = {malicious: 0, benign: 0}, all = {malicious: 0, benign: 0};
    for (const mark of round.querySelectorAll("g[data-score]")) {
      const kind = mark.classList.contains("malicious") ? "malicious" : "benign";
      const flagged = Number(mark.dataset.score) >= q;
      mark.classList.toggle("flagged", flagged);
      all[kind] += 1;
      found[kind] += flagged;
    }
    const line = round.querySelector("path.q"), {top, height, low} = line.dataset;
    line.setAttribute("transform", `translate(0 ${Number(top) + (1 - q) / (1 - low) * height})`);
    output.textContent = q.toFixed(3);
    round.querySelector(".live-said").textContent = `At q = ${q.toFixed(3)} the server drops `
      + `${found.malicious} of ${all.malicious} attackers and ${many(found.benign)}.`;
  }
  function choose() {
    for (const round of rounds) round.hidden = round.dataset.rule !== select.value;
    range.value = rounds.find(each => !each.hidden).dataset.q;
    draw();
  }
  select.addEventListener("change", choose);
  range.addEventListener("input", draw);
  picture.classList.add("live");
  controls.hidden = false;
  choose();
})();
