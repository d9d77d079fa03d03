// The explorer: recorded scores, what a threshold or a count makes of them, and the paper's numbers.
// Needs window.PDRR (runs.js, written from the records), D3 and Plot. Asks no server for anything.
(() => {
  "use strict";
  const root = document.getElementById("explorer");
  const {PDRR: data, Plot} = window;
  if (!root || !data || !Plot) return;

  const runs = data.runs.map(row => Object.fromEntries(data.columns.map((name, i) => [name, row[i]])));
  const LEVELS = ["rule", "attacker", "attack", "beta", "noise", "round", "seed", "scheme"];

  // what pdrr.metrics does, with the same comparisons

  const malicious = (run, i) => run.attacker !== "nobody" && i < data.c;
  const share = list => list.length ? list.filter(Boolean).length / list.length : null;

  // FAR and MAR where a score of q or more is flagged
  function rates(run, q) {
    const of = kind => run.scores.filter((_, i) => malicious(run, i) === kind).map(score => score >= q);
    const missed = share(of(true));
    return {far: share(of(false)), mar: missed === null ? null : 1 - missed};
  }

  // thresholds without an error: low < q <= high, or null
  function suitable(run) {
    const of = kind => run.scores.filter((_, i) => malicious(run, i) === kind);
    const clip = x => Math.min(1, Math.max(0, x));
    const low = clip(Math.max(...of(false)));
    const high = run.attacker === "nobody" ? 1 : clip(Math.min(...of(true)));
    return low < high ? [low, high] : null;
  }

  // FAR and MAR to expect where the m largest are flagged and ties are drawn by lot
  function lots(run, m) {
    const scores = run.scores, k = scores.length;
    const edge = m ? [...scores].sort((a, b) => a - b)[k - m] : Infinity;
    const above = scores.map(score => score > edge), level = scores.map(score => score === edge && m > 0);
    const count = (marks, kind) => marks.filter((mark, i) => mark && malicious(run, i) === kind).length;
    const equal = Math.max(level.filter(Boolean).length, 1);
    const places = Math.max(m - above.filter(Boolean).length, 0);
    const tied = places > 0 && places < equal ? equal : 0;
    const flagged = kind => equal * count(above, kind) + places * count(level, kind);
    const all = kind => equal * scores.filter((_, i) => malicious(run, i) === kind).length;
    return {
      far: all(false) ? flagged(false) / all(false) : null,
      mar: all(true) ? (all(true) - flagged(true)) / all(true) : null,
      tied, drawn: tied ? places : 0, byLot: 2 * (tied ? places : 0) > m,
      marks: scores.map((_, i) => above[i] ? 1 : level[i] ? (tied ? .5 : 1) : 0),
    };
  }

  // words

  const rate = x => x === null ? "–" : x.toFixed(2);
  const short = x => x === null || x === undefined ? "–" : String(+x.toPrecision(4)).replace("-", "−");
  // as short as a tick's label has to be: 6e−7, 0.25, 1200
  const tick = x => x && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(1).replace(".0e", "e").replaceAll("-", "−") : short(x);
  const many = (n, one, more = one + "s") => `${n} ${n === 1 ? one : more}`;
  const RULES = data.rules;
  const far10 = text => text.replace(/^(\d)e-0?(\d+)$/, (_, a, n) => (a === "1" ? "" : `${a} × `) + `10⁻${"⁰¹²³⁴⁵⁶⁷⁸⁹"[n]}`);
  const SIZES = {paper: "The paper’s size", quick: "Smaller network (quick profile)"};
  const profile = state => state.attacker === "beyond" ? "quick" : "paper";
  const size = state => `${SIZES[profile(state)]}: ${data.data[profile(state)]}`;
  const WORDS = {
    view: {pdrr: "PDRR", others: "Other detectors", paper: "Beside the paper"},
    rule: RULES,
    attacker: {partial: "knows its own clients (partial)", full: "knows every client (full)", beyond: "beyond the paper (smaller network)", nobody: "nobody attacks"},
    attack: {...data.beyond, own: "made for this rule", ...Object.fromEntries(Object.entries(RULES).map(([rule, words]) => [rule, `made for the ${words}`.replace("the Krum", "Krum")]))},
    noise: {ball: "radius of a ball", coordinate: "bound per coordinate"},
  };
  const LEGENDS = {
    view: "Look at", rule: "Server's rule", attacker: "Attacker", attack: "Its attack",
    beta: "β, trimmed a side", noise: "ε read as", round: "Round", seed: "Seed",
    scheme: "Detector",
  };
  const word = (name, value) => WORDS[name]?.[value] ?? (name === "attack" ? `ε = ${far10(value)}` : String(value));
  const told = {
    rule: s => `under ${word("rule", s.rule)}`.replace("under trimmed", "under the trimmed").replace("under median", "under the median"),
    attacker: s => s.attacker === "nobody" ? "with nobody attacking" : `under ${s.attacker === "beyond" ? "full" : s.attacker} knowledge`,
    attack: s => s.attack === "" ? "" : s.attack === "own" ? "with the rule’s own attack" : `with ${/^\d/.test(s.attack) ? "" : s.attack in RULES ? "the attack " : "the "}${word("attack", s.attack)}`,
    beta: s => s.beta ? `with β = ${s.beta}` : "",
    noise: s => s.noise ? `ε as ${word("noise", s.noise)}` : "",
    round: s => `in round ${s.round}`,
    seed: s => `with seed ${s.seed}`,
  };

  // which of the recorded runs a view shows

  const own = run => run.attack === "own" && run.attacker === "partial";
  const VIEWS = {
    pdrr: run => run.scheme === data.ours,
    others: run => run.scheme !== data.ours,
    paper: run => own(run) && run.rule in data.paper && (run.beta === null || run.beta === 10) && data.paper.rounds.includes(run.round),
  };
  const unique = list => [...new Set(list)];
  const VALUES = Object.fromEntries(LEVELS.map(name => [name, unique(runs.map(run => run[name])).filter(x => x !== null && x !== "")]));
  VALUES.view = Object.keys(VIEWS);
  VALUES.scheme = VALUES.scheme.filter(scheme => scheme !== data.ours);
  VALUES.round.sort((a, b) => a - b);
  VALUES.attack = ["own", ...Object.keys(RULES), ...VALUES.attack.filter(x => /^\d/.test(x)).sort((a, b) => a - b), ...Object.keys(data.beyond)];

  // the nearest recorded run to what was wished for, and what else there is on the way to it
  function fit(wish) {
    const state = {...wish}, there = {};
    if (!Object.hasOwn(VIEWS, state.view)) state.view = "pdrr";
    let left = runs.filter(VIEWS[state.view]);
    for (const name of LEVELS) {
      there[name] = unique(left.map(run => run[name]));
      if (!there[name].includes(state[name])) state[name] = there[name][0];
      if (state.view === "paper" && (name === "seed" || name === "scheme")) continue;
      left = left.filter(run => run[name] === state[name]);
    }
    return {state, there, left, run: left[0]};
  }

  function reason(name, state, there) {
    const values = there[name];
    if (name === "beta" && state.rule !== "trimmed_mean") return "Only the trimmed mean has a β.";
    if (name === "attack" && state.attacker === "nobody") return "Nobody attacks.";
    if (name === "noise" && values[0] === "") return "Only the attack on Krum, against Krum, has an ε to choose.";
    if (state.view === "paper") {
      if (name === "beta") return "The paper's table has β = 10.";
      if (name === "seed") return "All recorded seeds are averaged.";
      if (name === "rule") return "The paper prints no table for the median.";
      if (name === "attacker" || name === "attack") return "The paper’s tables have partial knowledge and the rule’s own attack.";
      if (name === "round" && VALUES.round.some(x => !data.paper.rounds.includes(x)) && values.length === data.paper.rounds.length) return `The paper prints rounds ${data.paper.rounds.join(", ")}.`;
    }
    if (name === "attack" && state.attacker === "beyond") return "Greyed: the paper's attacks, recorded at its size under the other attackers.";
    if (name === "attack" && state.view === "pdrr") return `Those beyond the paper belong to the attacker of that name. Greyed: the attack made for ${told.rule(state).slice(6)} is the first of these${state.rule === "krum" ? "" : "; ε belongs to the attack on Krum"}.`;
    if (VALUES[name].every(x => values.includes(x))) return "";
    if (state.view === "others" && ["attacker", "attack"].includes(name)) return "Greyed: only PDRR was recorded there.";
    const before = LEVELS.slice(0, LEVELS.indexOf(name)).map(level => told[level](state)).filter(Boolean);
    return `Greyed: not recorded ${before.join(", ")}.`;
  }

  // the address

  const START = {view: "pdrr", rule: "krum", attacker: "partial", attack: "own", beta: 10, noise: "ball", round: 1, seed: 1, scheme: "LFR", q: null, m: data.c};
  function read() {
    const wish = {...START};
    if (!location.hash.includes("=")) return wish;
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      if (!Object.hasOwn(START, name)) continue;
      const number = Number(text);
      if (name === "q") wish.q = text !== "" && number >= 0 && number <= 1 ? number : null;
      else if (name === "m") wish.m = Number.isInteger(number) && number >= 0 && number <= data.k ? number : data.c;
      else wish[name] = VALUES[name].find(value => String(value) === text) ?? START[name];
    }
    return wish;
  }
  function write(state, q) {
    const shown = ["view", ...LEVELS].filter(name => state[name] !== null && state[name] !== "" && !(name === "scheme" && state.view !== "others") && !(name === "seed" && state.view === "paper"));
    const pairs = shown.map(name => [name, state[name]]);
    if (state.view === "pdrr") pairs.push(["q", q]);
    if (state.view === "others") pairs.push(["m", state.m]);
    const hash = "#" + new URLSearchParams(pairs);
    if (hash !== location.hash) history.replaceState(null, "", hash);
  }

  // the page

  const make = (tag, props = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...children);
    return element;
  };
  const inputs = {}, whys = {}, sets = {};
  function choose(name, value) {
    wish = {...wish, [name]: value};
    if (["rule", "attacker", "attack", "view"].includes(name)) wish.q = null;
    draw();
  }
  // many attacks: a list, the paper's and the others
  function list(name) {
    const select = make("select", {id: `explore-${name}`});
    inputs[name] = VALUES[name].map(value => make("option", {value: String(value), textContent: word(name, value)}));
    const [others, own] = [true, false].map(beyond => inputs[name].filter(option => option.value in data.beyond === beyond));
    select.append(make("optgroup", {label: "the paper's"}, ...own), make("optgroup", {label: "beyond the paper, in a smaller network"}, ...others));
    select.addEventListener("change", () => choose(name, select.value));
    return frame(name, make("label", {htmlFor: select.id, className: "legend", textContent: LEGENDS[name]}), select);
  }
  function frame(name, legend, what) {
    const why = whys[name] = make("p", {className: "why", id: `why-${name}`});
    const tag = legend.localName === "legend" ? "fieldset" : "div";
    sets[name] = make(tag, {className: `pick pick-${name}`}, legend, what, why);
    (tag === "div" ? what : sets[name]).setAttribute("aria-describedby", why.id);
    return sets[name];
  }
  function group(name) {
    if (name === "attack") return list(name);
    const labels = VALUES[name].map(value => {
      const input = make("input", {type: "radio", name: `explore-${name}`, value: String(value)});
      input.addEventListener("change", () => choose(name, value));
      (inputs[name] ??= []).push(input);
      return make("label", {}, input, make("span", {textContent: word(name, value)}));
    });
    return frame(name, make("legend", {textContent: LEGENDS[name]}), make("div", {className: "options"}, ...labels));
  }
  const range = make("input", {type: "range", id: "explore-range"});
  const value = make("output", {htmlFor: "explore-range"});
  const label = make("label", {htmlFor: "explore-range"});
  const reset = make("button", {type: "button"});
  const slider = make("div", {className: "slide"}, label, range, value, reset);
  const sentence = make("p", {className: "sentence"});
  sentence.setAttribute("role", "status");
  sentence.setAttribute("aria-live", "polite");
  const chart = make("div", {className: "chart"}), below = make("div", {className: "chart"});
  const legend = make("p", {className: "marks"}), where = make("p", {className: "size"});
  const caption = make("p", {className: "chart-title"}), captionBelow = make("p", {className: "chart-title"});
  const chosen = make("span", {className: "chosen"});
  const csv = make("a", {textContent: "CSV"});
  const table = make("div", {className: "pdrr-scroll", tabIndex: 0});
  table.setAttribute("role", "region");
  table.setAttribute("aria-label", "Table of this view");
  const tables = make("details", {className: "numbers"}, make("summary", {textContent: "Table"}), table);

  range.addEventListener("input", () => {
    wish[current.state.view === "others" ? "m" : "q"] = Number(range.value);
    draw();
  });
  reset.addEventListener("click", () => {
    wish.q = null;
    wish.m = data.c;
    draw();
  });

  const MALICIOUS = "var(--pdrr-malicious)", BENIGN = "var(--pdrr-benign)", GROUND = "var(--pst-color-background)";
  const base = (height, more) => ({
    width: Math.max(260, chart.clientWidth), height, marginLeft: 52, marginRight: 14, marginBottom: 42,
    style: {background: "none", fontSize: "13px", overflow: "visible"}, ...more,
  });
  const say = (figure, text) => {
    // one picture with one description: Plot's names of its marks are none for a reader
    for (const part of figure.querySelectorAll("[aria-label]")) {
      part.dataset.mark = part.getAttribute("aria-label");
      part.removeAttribute("aria-label");
    }
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", text);
    return figure;
  };

  // each client's score; filled as far as it is flagged, 0 to 1
  function lollipops(run, marks, edge, band, title, note) {
    const points = run.scores.map((score, i) => ({client: i + 1, score, malicious: malicious(run, i), mark: marks[i]}));
    const [low, high] = [Math.min(0, ...run.scores), Math.max(run.scheme === data.ours ? 1 : 0, ...run.scores)];
    const narrow = chart.clientWidth < 500, r = narrow ? 2.6 : 4;
    const colour = d => d.malicious ? MALICIOUS : BENIGN;
    const dots = kind => Plot.dot(points.filter(d => d.malicious === kind), {
      x: "client", y: "score", r: kind ? r * 1.15 : r, symbol: kind ? "square" : "circle",
      stroke: kind ? MALICIOUS : BENIGN, strokeWidth: 1.5, fill: GROUND,
    });
    const filled = kind => Plot.dot(points.filter(d => d.malicious === kind && d.mark > 0), {
      x: "client", y: "score", r: kind ? r * 1.15 : r, symbol: kind ? "square" : "circle",
      stroke: kind ? MALICIOUS : BENIGN, fill: kind ? MALICIOUS : BENIGN, fillOpacity: "mark",
      title: d => `client ${d.client}: ${short(d.score)}`,
    });
    chart.replaceChildren(say(Plot.plot(base(narrow ? 220 : 310, {
      x: {label: "client", labelAnchor: "center", labelArrow: false, labelOffset: 36, domain: [0, data.k + 1], ticks: [1, 10, 20, 30, 40, 50]},
      y: {label: null, domain: [low, high], grid: true, tickFormat: tick, nice: run.scheme !== data.ours},
      opacity: {domain: [0, 1], range: [0, 1]},
      marks: [
        band ? Plot.rect([band], {x1: 0, x2: data.k + 1, y1: "0", y2: "1", fill: "var(--pdrr-band)"}) : null,
        Plot.ruleX(points, {x: "client", y1: Math.max(low, 0), y2: "score", stroke: colour, strokeWidth: 1.2}),
        dots(true), dots(false), filled(true), filled(false),
        Number.isFinite(edge) ? Plot.ruleY([edge], {strokeDasharray: "5 3", strokeWidth: 1.4}) : null,
      ],
    })), note));
    caption.textContent = title;
  }

  function errors(run, x, steps, now, band, curve, of) {
    const kinds = run.attacker === "nobody" ? ["far"] : ["far", "mar"];
    const lines = kinds.flatMap(kind => steps.map(step => ({x: step, y: of(step)[kind], kind})));
    const ends = kinds.map(kind => ({kind, x: kind === "far" ? steps[0] : steps.at(-1), y: of(kind === "far" ? steps[0] : steps.at(-1))[kind]}));
    below.replaceChildren(say(Plot.plot(base(190, {
      x: {label: x, labelAnchor: "center", labelArrow: false, labelOffset: 36, domain: [steps[0], steps.at(-1)]},
      y: {label: null, domain: [0, 1], ticks: [0, .5, 1], grid: true},
      marginTop: 24,
      marks: [
        band ? Plot.rect([band], {x1: "0", x2: "1", y1: 0, y2: 1, fill: "var(--pdrr-band)"}) : null,
        Plot.line(lines.filter(d => d.kind === "far"), {x: "x", y: "y", stroke: BENIGN, strokeWidth: 4, curve}),
        Plot.line(lines.filter(d => d.kind === "mar"), {x: "x", y: "y", stroke: MALICIOUS, strokeWidth: 2, strokeDasharray: "6 3", curve}),
        Plot.ruleX([now], {strokeDasharray: "5 3", strokeWidth: 1.4}),
        ...ends.map(end => Plot.text([end], {
          x: "x", y: "y", text: d => d.kind.toUpperCase(), dy: -9, dx: end.kind === "far" ? 6 : -6, fontWeight: 600,
          fill: end.kind === "far" ? "var(--pdrr-benign-words)" : MALICIOUS, textAnchor: end.kind === "far" ? "start" : "end",
        })),
      ],
    })), `FAR and MAR against ${x}, from ${steps[0]} to ${steps.at(-1)}; the table has the numbers.`));
    captionBelow.textContent = `Error against ${x}: FAR, honest clients flagged${run.attacker === "nobody" ? "" : "; MAR (dashed), attackers missed"}`;
  }

  const kind = (run, i) => malicious(run, i) ? "malicious" : "benign";
  // what is chosen, in the line that opens the choice
  const brief = (name, state) => {
    const value = state[name];
    if (value === null || value === "" || (state.view === "paper" && name === "seed")) return "";
    if (name === "attacker") return {partial: "partial knowledge", full: "full knowledge", beyond: "smaller network, full knowledge"}[value] ?? word(name, value);
    if (name === "attack") return value === "own" ? "its own attack" : word(name, value);
    if (name === "noise") return `ε as ${word(name, value)}`;
    if (name === "beta") return `β = ${value}`;
    return ["round", "seed"].includes(name) ? `${name} ${value}` : word(name, value);
  };
  const setting = state => LEVELS.slice(0, -1).map(level => told[level](state)).filter(Boolean).join(", ");

  const SHOW = {
    pdrr(state, run) {
      const q = wish.q ?? run.q, band = suitable(run), found = rates(run, q);
      const marks = run.scores.map(score => score >= q ? 1 : 0);
      slide("threshold q", 0, 1, .001, q, q.toFixed(3), `q as recorded (${run.q})`);
      const all = run.scores.length, n = marks.filter(Boolean).length;
      const honest = marks.filter((mark, i) => mark && !malicious(run, i)).length;
      const right = band ? `Any q above ${band[0].toFixed(4)} up to ${band[1].toFixed(4)} makes no error.` : "No threshold is right in this round.";
      sentence.textContent = `${profile(state) === "quick" ? "In the smaller network: at" : "At"} q = ${q.toFixed(3)} PDRR flags ${n} of ${all} clients: ` + (run.attacker === "nobody"
        ? `${honest === 0 ? "none of them is wronged" : many(honest, "honest client") + ", though nobody attacks"}. FAR ${rate(found.far)}. ${band ? right : "Where the scores tell any two clients apart, the largest is 1: every threshold flags somebody."}`
        : `${n - honest} of ${data.c} attackers and ${honest ? many(honest, "honest client") : "no honest one"}. FAR ${rate(found.far)}, MAR ${rate(found.mar)}. ${right}`);
      lollipops(run, marks, q, band, `Suspicion: ${data.axes[data.ours][run.rule]}`, `Suspicion of each client ${setting(state)}; dashed the threshold. ${sentence.textContent}`);
      const steps = unique([0, ...run.scores.filter(score => score > 0 && score < 1), 1]).sort((a, b) => a - b);
      errors(run, "q", steps, q, band, "step-before", step => rates(run, step));
      numbers("pdrr", ["client", "kind", "score", "flagged"], run.scores.map((score, i) => [i + 1, kind(run, i), score, marks[i] ? "yes" : "no"]), state, {q});
      write(state, q);
    },
    others(state, run) {
      const m = state.m, found = lots(run, m), [edge] = m ? [[...run.scores].sort((a, b) => b - a)[m - 1]] : [Infinity];
      slide("flag the m most suspicious, m", 0, data.k, 1, m, String(m), `m = c = ${data.c}`);
      const tie = found.tied ? ` ${found.drawn} of the ${m} places ${found.drawn === 1 ? "is" : "are"} drawn by lot among ${found.tied} clients with the same score${found.byLot ? ": these rates are luck" : ""}.` : " No tie at the edge.";
      sentence.textContent = `Flagging the ${m} most suspicious by ${run.scheme}: FAR ${rate(found.far)}, MAR ${rate(found.mar)}${found.tied ? " to expect" : ""}.${tie} Recorded with m = ${data.c}: FAR ${rate(run.far)}, MAR ${rate(run.mar)}${found.tied && m === data.c ? " (one draw)" : ""}.`;
      lollipops(run, found.marks, edge, null, `${run.scheme}: ${data.axes[run.scheme]}, turned so that high is suspicious`, `Score of each client by ${run.scheme} ${setting(state)}. ${sentence.textContent}`);
      const steps = Array.from({length: data.k + 1}, (_, i) => i);
      errors(run, "m", steps, m, null, "linear", step => lots(run, step));
      numbers("others", ["client", "kind", "score", "flagged"], run.scores.map((score, i) => [i + 1, kind(run, i), score, {0: "no", 1: "yes", .5: "by lot"}[found.marks[i]]]), state, {m});
      write(state);
    },
    paper(state) {
      const rows = beside(state), here = rows.filter(row => row.round === state.round);
      slider.hidden = true;
      const worst = here.filter(row => row.ours !== null).reduce((a, b) => Math.abs(b.ours - b.paper) > Math.abs(a.ours - a.paper) ? b : a);
      const ours = here.filter(row => row.scheme === data.ours);
      const gone = unique(here.filter(row => row.ours === null).map(row => row.scheme));
      sentence.textContent = `Round ${state.round} ${told.rule(state)}: PDRR has FAR ${rate(ours[0].paper)} and MAR ${rate(ours[1].paper)} in the paper, ${rate(ours[0].ours)} and ${rate(ours[1].ours)} here (${many(ours[0].seeds, "seed")}). ${
        worst.scheme === data.ours ? "" : `Farthest apart is ${worst.rate} of ${worst.scheme}: ${rate(worst.paper)} there, ${rate(worst.ours)} here.`} ${
        gone.length ? `Not recorded in this setting: ${gone.join(", ")}.` : ""}`.trim();
      const chance = [["FAR", data.c / data.k], ["MAR", 1 - data.c / data.k]].map(([rate, x]) => ({rate, x}));
      chart.replaceChildren(say(Plot.plot(base(360, {
        marginLeft: 64, marginRight: 44, x: {label: "rate", labelAnchor: "center", labelArrow: false, labelOffset: 36, domain: [0, 1], grid: true}, y: {label: null, domain: data.schemes}, fy: {label: null, domain: ["FAR", "MAR"]},
        marks: [
          Plot.frame({stroke: "var(--pst-color-border)"}),
          Plot.ruleX(chance, {x: "x", fy: "rate", strokeDasharray: "2 3"}),
          Plot.link(here.filter(d => d.ours !== null), {x1: "paper", x2: "ours", y1: "scheme", y2: "scheme", fy: "rate", stroke: "var(--pst-color-text-muted)"}),
          Plot.dot(here, {x: "paper", y: "scheme", fy: "rate", symbol: "diamond", r: 6, stroke: "var(--pst-color-text-base)", fill: GROUND, strokeWidth: 1.6}),
          Plot.dot(here.filter(d => d.ours !== null), {x: "ours", y: "scheme", fy: "rate", r: 4, fill: "var(--pdrr-blue)"}),
        ],
      })), `FAR and MAR of five schemes, the paper's beside ours. ${sentence.textContent}`));
      caption.textContent = "◇ the paper · ● ours, mean over the recorded seeds · dotted: chance, c flagged without looking";
      captionBelow.textContent = "";
      below.replaceChildren();
      numbers("paper", ["scheme", "rate", "round", "paper", "ours", "seeds"], rows.map(row => [row.scheme, row.rate, row.round, row.paper, row.ours === null ? "not recorded" : +row.ours.toFixed(4), row.seeds]), state, {});
      write(state);
    },
  };

  // a row for each scheme, round and rate: the paper's number, and the mean of ours
  function beside(state) {
    const mine = runs.filter(run => VIEWS.paper(run) && ["rule", "beta", "noise"].every(name => run[name] === state[name]));
    return data.schemes.flatMap(scheme => data.paper.rounds.flatMap((round, i) => ["FAR", "MAR"].map(rate => {
      const some = mine.filter(run => run.scheme === scheme && run.round === round);
      const values = some.map(run => (scheme === data.ours ? run : lots(run, data.c))[rate.toLowerCase()]);
      const ours = values.length ? values.reduce((a, b) => a + b) / values.length : null;
      return {scheme, round, rate, paper: data.paper[state.rule][scheme][rate][i], ours, seeds: values.length};
    })));
  }

  function slide(text, min, max, step, now, shown, back) {
    slider.hidden = false;
    label.textContent = text;
    Object.assign(range, {min, max, step});
    range.value = now;
    range.setAttribute("aria-valuetext", shown);
    value.textContent = shown;
    reset.textContent = back;
  }

  let file = null;
  function numbers(view, head, rows, state, more) {
    const body = rows.map(row => make("tr", {}, ...row.map((cell, i) => i
      ? make("td", {textContent: typeof cell === "number" ? short(cell) : cell, className: typeof cell === "number" ? "number" : ""})
      : Object.assign(make("th", {textContent: cell}), {scope: "row"}))));
    const top = make("tr", {}, ...head.map(name => Object.assign(make("th", {textContent: name}), {scope: "col"})));
    table.replaceChildren(make("table", {}, make("caption", {textContent: `${word("view", view)}: ${setting(state)}. ${size(state)}`}), make("thead", {}, top), make("tbody", {}, ...body)));
    const names = LEVELS.slice(0, view === "others" ? 8 : view === "paper" ? 5 : 7).filter(name => !head.includes(name)), fixed = [...names.map(name => state[name] ?? ""), ...Object.values(more)];
    const lines = [["profile", ...names, ...Object.keys(more), ...head], ...rows.map(row => [profile(state), ...fixed, ...row])];
    if (file) URL.revokeObjectURL(file);
    file = URL.createObjectURL(new Blob([lines.map(line => line.join(",")).join("\n") + "\n"], {type: "text/csv"}));
    csv.href = file;
    csv.download = `pdrr-${view}-${names.map(name => state[name]).filter(Boolean).join("-")}.csv`.replaceAll(" ", "_");
  }

  let wish = read(), current = null, asked = 0;
  function show() {
    current = fit(wish);
    const {state, there, run} = current;
    for (const name of ["view", ...LEVELS]) {
      const why = name === "view" ? "" : reason(name, state, there);
      const free = name === "view" ? VALUES.view : state.view === "paper" && (name === "seed" || name === "scheme") ? [] : there[name];
      inputs[name].forEach((input, i) => {
        const value = VALUES[name][i];
        input.disabled = !free.includes(value);
        input[name === "attack" ? "selected" : "checked"] = value === state[name] && !input.disabled;
        input.parentElement.title = input.disabled ? why : "";
      });
      if (name === "attack") sets.attack.querySelector("select").disabled = !state.attack;
      if (name === "attack" && !state.attack) sets.attack.querySelector("select").selectedIndex = -1;
      whys[name].textContent = why;
      whys[name].hidden = !why;
    }
    sets.scheme.hidden = state.view !== "others";
    legend.hidden = state.view === "paper";
    where.textContent = size(state);
    chosen.textContent = LEVELS.filter(name => !(name === "scheme" && state.view !== "others")).map(name => brief(name, state)).filter(Boolean).join(" · ");
    for (const part of legend.querySelectorAll(".pdrr, .others")) part.hidden = part.className !== state.view;
    SHOW[state.view](state, run);
  }
  function draw() {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(show);
  }

  const marks = [["square", MALICIOUS, "malicious"], ["circle", BENIGN, "honest"]].map(([shape, colour, text]) => `<span><i class="${shape}" style="border-color:${colour};background:${colour}"></i><i class="${shape}" style="border-color:${colour}"></i> ${text}</span>`);
  legend.innerHTML = `${marks.join(" ")} <span>filled: flagged</span> <span class="pdrr"><i class="band"></i> suitable thresholds</span> <span class="others">half filled: by lot</span>`;
  root.replaceChildren(
    group("view"),
    make("details", {className: "setting", open: innerWidth >= 768}, make("summary", {}, "Setting: ", chosen), make("div", {className: "picks"}, ...LEVELS.map(group))),
    make("figure", {className: "view"}, slider, sentence, legend, caption, chart, where, captionBelow, below),
    tables, make("p", {className: "taken"}, csv, " of this view, with its setting. The address of this page holds what is chosen."),
  );
  window.explorer = {runs, rates, lots, suitable, fit, beside, wish: () => wish};
  show();
  addEventListener("hashchange", () => {
    wish = read();
    draw();
  });
  let width = chart.clientWidth;
  new ResizeObserver(() => {
    if (chart.clientWidth !== width) {
      width = chart.clientWidth;
      draw();
    }
  }).observe(chart);
})();
