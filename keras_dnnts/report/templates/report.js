"use strict";
(() => {
  const tip = document.getElementById("tip");
  const status = document.getElementById("status");

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function label(text) {
    return element("bdi", { className: "name", textContent: text });
  }

  function percent(share, digits = 1) {
    return (100 * share).toFixed(digits) + "\u00a0%";
  }

  function path(text) {
    return element("bdi", { className: "path", textContent: text });
  }

  function thumbnail(id, sprite, number, description) {
    const column = number % sprite.columns, row = Math.floor(number / sprite.columns);
    const made = element("span", { className: "thumb sprite-" + id, role: "img", ariaLabel: description });
    made.style.backgroundPosition =
      `${(100 * column) / Math.max(sprite.columns - 1, 1)}% ${(100 * row) / Math.max(sprite.rows - 1, 1)}%`;
    return made;
  }

  function openCell(id, data, panel, truth, guess) {
    const row = data.counts[truth], total = row.reduce((sum, count) => sum + count, 0);
    const examples = data.examples[truth + "," + guess] || [];
    const heading = element("h4");
    if (truth === guess) heading.append(label(data.classes[truth]), ", recognised");
    else heading.append(label(data.classes[truth]), " guessed as ", label(data.classes[guess]));
    const amount = `${percent(row[guess] / total)}: ${row[guess].toLocaleString("en")} of ${total.toLocaleString("en")}`;
    const list = element("ul", { className: "examples" + (data.sprite ? " images" : "") });
    for (const [what, confidence] of examples) {
      const item = element("li");
      if (data.sprite) item.append(thumbnail(id, data.sprite, what, "a test image of class " + data.classes[truth]));
      else item.append(element("bdi", { textContent: String(what) }));
      item.append(element("span", { className: "quiet", textContent: percent(confidence, 0) }));
      if (data.paths) item.append(path(data.paths[what]));
      list.append(item);
    }
    const said = examples.length ? "The most confident, with the model’s confidence:" : "No examples were saved.";
    panel.replaceChildren(heading, element("p", { className: "quiet", textContent: amount }));
    panel.append(element("p", { className: "quiet", textContent: said }), list);
  }

  function setUpConfusion(root) {
    const table = root.querySelector(".matrix"), panel = root.querySelector(".panel");
    if (!table) return;
    const data = JSON.parse(root.querySelector(".data").textContent), id = root.dataset.id;
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => cell.firstElementChild));
    let chosen = null;
    const choose = (truth, guess) => {
      if (chosen) chosen.setAttribute("aria-pressed", "false");
      chosen = rows[truth][guess];
      chosen.setAttribute("aria-pressed", "true");
      openCell(id, data, panel, truth, guess);
    };
    const focus = (button) => {
      table.querySelector("button[tabindex='0']").tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
    };
    rows.forEach((row, truth) => row.forEach((button, guess) => {
      if (!button) return;
      button.addEventListener("click", () => { focus(button); choose(truth, guess); });
      button.addEventListener("keydown", (event) => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!step) return;
        event.preventDefault();
        for (let i = truth + step[0], j = guess + step[1]; rows[i] && j >= 0 && j < row.length; i += step[0], j += step[1])
          if (rows[i][j]) return focus(rows[i][j]);
      });
    }));
    let most = null;
    data.counts.forEach((row, truth) => row.forEach((count, guess) => {
      if (truth !== guess && count && (!most || count > most.count)) most = { truth, guess, count };
    }));
    if (most) choose(most.truth, most.guess);
  }

  function nearest(places, x, y, allowed) {
    let best = -1, least = Infinity;
    for (let i = 0; i < places.length / 2; i++) {
      const distance = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
      if (distance < least && (!allowed || allowed(i))) { best = i; least = distance; }
    }
    return { point: best, distance: Math.sqrt(least) };
  }

  function setUpEmbedding(root) {
    const data = JSON.parse(root.querySelector(".data").textContent), id = root.dataset.id;
    const maps = [...root.querySelectorAll(".map")];
    const screenPlace = (map, point) => {
      const places = data.maps[map.dataset.map], matrix = map.firstElementChild.getScreenCTM();
      return new DOMPoint(places[2 * point], places[2 * point + 1]).matrixTransform(matrix);
    };
    const hide = () => {
      tip.hidden = true;
      root.querySelectorAll(".ring").forEach((ring) => ring.setAttribute("hidden", ""));
    };
    const show = (map, point, announced) => {
      map.dataset.point = point;
      for (const other of maps) {
        const ring = other.querySelector(".ring"), places = data.maps[other.dataset.map];
        ring.setAttribute("cx", places[2 * point]);
        ring.setAttribute("cy", places[2 * point + 1]);
        ring.removeAttribute("hidden");
      }
      const name = data.classes[data.labels[point]];
      tip.replaceChildren(label(name));
      if (data.sprite) tip.prepend(thumbnail(id, data.sprite, point, "a test image of class " + name));
      if (data.paths) tip.append(path(data.paths[point]));
      tip.hidden = false;
      const place = screenPlace(map, point), box = tip.getBoundingClientRect();
      const left = Math.min(Math.max(place.x - box.width / 2, 8), innerWidth - box.width - 8);
      const above = place.y - box.height - 16;
      tip.style.left = left + "px";
      tip.style.top = (above > 8 ? above : place.y + 16) + "px";
      if (announced) status.textContent = name;
    };
    for (const map of maps) {
      const places = data.maps[map.dataset.map];
      const point = (event) => {
        const inverse = map.firstElementChild.getScreenCTM().inverse();
        const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
        const found = nearest(places, place.x, place.y);
        if (found.distance * map.firstElementChild.getScreenCTM().a < 24) show(map, found.point, false);
        else hide();
      };
      map.addEventListener("pointermove", point);
      map.addEventListener("pointerdown", point);
      map.addEventListener("pointerleave", hide);
      map.addEventListener("blur", hide);
      map.addEventListener("focus", () => { if (map.matches(":focus-visible")) show(map, +(map.dataset.point || 0), true); });
      map.addEventListener("keydown", (event) => {
        if (event.key === "Escape") return hide();
        const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        const from = +(map.dataset.point || 0), x = places[2 * from], y = places[2 * from + 1];
        const ahead = (i) => {
          const dx = places[2 * i] - x, dy = places[2 * i + 1] - y;
          const along = dx * step[0] + dy * step[1];
          return along > 0 && along >= Math.abs(dx * step[1] + dy * step[0]);
        };
        const found = nearest(places, x, y, ahead);
        if (found.point >= 0) show(map, found.point, true);
      });
    }
    let lifted = null;
    root.querySelectorAll(".classes button").forEach((button, _, buttons) => button.addEventListener("click", () => {
      lifted = lifted === button.dataset.class ? null : button.dataset.class;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.class === lifted)));
      root.querySelectorAll(".dots").forEach((dots) =>
        dots.classList.toggle("faded", lifted !== null && dots.dataset.class !== lifted));
    }));
  }

  function setUpChart(root) {
    const plot = root.querySelector(".plot"), frame = root.querySelector(".frame");
    const lines = JSON.parse(root.querySelector(".points").textContent);
    const names = [...root.querySelectorAll(".legend li")].map((item) => item.cloneNode(true));
    const across = root.querySelector(".axis.x").textContent, along = root.querySelector(".axis").textContent;
    const places = [...new Set(lines.flat().map((point) => point[0]))].sort((a, b) => a - b);
    if (!places.length) return;
    const mark = element("i", { className: "at", hidden: true });
    plot.append(mark);
    let chosen = -1;
    const hide = () => { tip.hidden = mark.hidden = true; };
    const show = (number, announced) => {
      chosen = number;
      const found = lines.map((line) => line.find((point) => point[0] === places[chosen]));
      const first = found.find(Boolean), box = plot.getBoundingClientRect();
      tip.replaceChildren(element("p", { className: "quiet", textContent: `${across}: ${first[2]}` }));
      found.forEach((point, i) => {
        if (!point) return;
        const name = names[i] ? [...names[i].cloneNode(true).childNodes] : [`${along}:`];
        tip.append(element("p", { className: "at-line" }, ...name, element("b", { textContent: point[3] })));
      });
      mark.style.left = places[chosen] + "%";
      tip.hidden = mark.hidden = false;
      const size = tip.getBoundingClientRect(), left = box.left + (box.width * places[chosen]) / 100;
      tip.style.left = Math.max(8, left + size.width + 20 < innerWidth ? left + 12 : left - size.width - 12) + "px";
      tip.style.top = Math.max(8, box.top + 8) + "px";
      if (announced) status.textContent = tip.innerText;
    };
    const nearestTo = (place) => places.reduce((best, each, i) =>
      (Math.abs(each - place) < Math.abs(places[best] - place) ? i : best), 0);
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      show(nearestTo((100 * (event.clientX - box.left)) / box.width), false);
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", hide);
    frame.addEventListener("blur", hide);
    frame.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(Math.min(Math.max(chosen + step, 0), places.length - 1), true);
    });
  }

  function listContents() {
    if (document.documentElement.scrollHeight < 3 * innerHeight) return;
    const headings = [...document.querySelectorAll("main h2")].filter((heading) => heading.offsetParent);
    const items = headings.map((heading, i) => {
      heading.id ||= "part" + (i + 1);
      const title = element("bdi", { textContent: heading.dataset.short ?? heading.textContent });
      return element("li", {}, element("a", { href: "#" + heading.id }, title));
    });
    const list = element("nav", { className: "contents", ariaLabel: "Contents" }, element("ul", {}, ...items));
    document.querySelector("main > header").append(list);
  }

  document.querySelectorAll(".chart").forEach(setUpChart);
  listContents();
  document.querySelectorAll(".confusion").forEach(setUpConfusion);
  document.querySelectorAll(".embedding").forEach(setUpEmbedding);
  document.querySelectorAll("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return button.remove();
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = status.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  });
})();
