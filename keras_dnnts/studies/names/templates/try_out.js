"use strict";
(() => {
  const root = document.currentScript.parentElement, data = JSON.parse(root.querySelector(".models").textContent);
  const reader = namesReader(data);
  const input = root.querySelector("input"), answers = root.querySelector(".readings");
  const said = root.querySelector("[role=status]");
  const chosen = (name, otherwise) => root.querySelector(`[data-${name}]`)?.value ?? otherwise;

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";

  const answer = (text, run) => reader.read(text, run, chosen("seed", "0"), chosen("prior", ""));

  function table({ letters, rows, last }, run, name) {
    const ranked = last.map((_, k) => k).sort((a, b) => last[b] - last[a]);
    const shown = new Set([...ranked.slice(0, 4), ...rows.map((row) => row.indexOf(Math.max(...row)))]);
    const lines = ranked.filter((k) => shown.has(k)).map((k) => [run.classes[k], rows.map((row) => row[k])]);
    const others = rows.map((row) => row.reduce((sum, share, k) => sum + (shown.has(k) ? 0 : share), 0));
    if (shown.size < last.length) lines.push(["others", others]);
    const cell = (share) => {
      const level = share < 0.005 ? 0 : Math.max(1, Math.round(data.levels * Math.min(share, 1) ** data.gamma));
      return element("td", { className: "h" + level, textContent: Math.round(100 * share) || "" });
    };
    const heads = letters.map((letter) => element("th", { scope: "col", textContent: letter === " " ? "␣" : letter }));
    const body = lines.map(([label, shares]) => element("tr", {},
      element("th", { scope: "row" }, element("bdi", { className: "name", textContent: label, title: label })),
      ...shares.map(cell)));
    const made = element("table", { className: "letters" }, element("thead", {}, element("tr", {}, element("td"), ...heads)));
    made.append(element("tbody", {}, ...body));
    const heading = name + ", letter by letter";
    return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: heading }, made);
  }

  function show() {
    const found = data.runs.map((run) => answer(input.value, run));
    const words = found.map(({ problem, last }, i) =>
      problem || `${data.runs[i].classes[last.indexOf(Math.max(...last))]}, ${percent(Math.max(...last))}`);
    const several = data.runs.length > 1;
    answers.replaceChildren(...found.map((one, i) => {
      const block = element("div", { className: "reading" });
      if (several) block.append(element("h3", {}, element("bdi", { className: "name", textContent: data.runs[i].label })));
      if (!input.value.trim()) return block;
      const name = one.letters.join("");
      block.append(element("p", { className: "verdict" }, element("bdi", { textContent: name }), name ? " → " : "",
        element("b", {}, element("bdi", { textContent: words[i] }))));
      const ignored = one.ignored.map((letter) => (letter === " " ? "space" : letter)).join(" ");
      if (ignored) block.append(element("p", { className: "quiet" }, "Ignored: ", element("bdi", { textContent: ignored })));
      if (!one.problem) block.append(table(one, data.runs[i], several ? data.runs[i].label : name));
      return block;
    }));
    answers.querySelectorAll(".scroll").forEach((frame) => { frame.scrollLeft = frame.scrollWidth; });
    const heard = words.map((each, i) => (several ? data.runs[i].label + ": " : "") + each).join("; ");
    clearTimeout(root.speaking);
    root.speaking = setTimeout(() => { said.textContent = input.value.trim() ? heard : ""; }, 700);
  }

  root.read = (text) => data.runs.map((run) => answer(text, run));
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  root.querySelector("form").addEventListener("input", show);
  show();
  (window.requestIdleCallback ?? setTimeout)(reader.prepare);
  document.querySelectorAll("[data-needs-script]").forEach((each) => { each.hidden = false; });
})();
