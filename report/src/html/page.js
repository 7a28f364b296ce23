// Everything can be read without this script: it adds copying, and a cursor on the chart over time.
"use strict";
(() => {
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* a page from a file may not */ }
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = (await copy(button.dataset.copy)) ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = label; }, 1600);
    });
  }

  // What is folded away is wanted on paper all the same.
  const folded = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...folded()]; for (const d of opened) d.open = true; });
  addEventListener("afterprint", () => { for (const d of opened) d.open = false; });

  const figure = document.querySelector("figure[data-bins]");
  const chart = figure && figure.querySelector("svg.timeline");
  const bins = figure ? JSON.parse(figure.dataset.bins) : [];
  if (!chart || bins.length === 0) return;
  const tip = figure.querySelector(".tip");
  const cursor = chart.querySelector(".cursor");
  const { left, right, to } = Object.fromEntries(Object.entries(chart.dataset).map(([k, v]) => [k, +v]));
  const count = (n) => n.toLocaleString("en").replace(/,/g, "\u202f");
  const digits = (n) => (n >= 99.95 ? n.toFixed(0) : n >= 9.995 ? n.toFixed(1) : n.toFixed(2));
  const latency = (us) => us === null ? "–"
    : us < 1e3 ? us + " µs" : us < 999500 ? digits(us / 1e3) + " ms" : digits(us / 1e6) + " s";
  const rows = [
    ["sent", (b) => count(b[1])], ["accepted", (b) => count(b[2])], ["delivered", (b) => count(b[3])],
    ["accept p50 / p99", (b) => latency(b[4]) + " / " + latency(b[5])],
    ["deliver p50 / p99", (b) => latency(b[6]) + " / " + latency(b[7])],
    ["connected", (b) => count(b[8])], ["refused", (b) => count(b[9])],
    ["sent again", (b) => count(b[10])], ["sessions ended", (b) => count(b[11])],
  ];
  const hide = () => { tip.hidden = true; cursor.setAttribute("visibility", "hidden"); };
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const scale = box.width / chart.viewBox.baseVal.width;
    const seconds = ((event.clientX - box.left) / scale - left) / (right - left) * to;
    if (seconds < 0 || seconds > to) return hide();
    let near = bins[0];
    for (const bin of bins) if (Math.abs(bin[0] - seconds) < Math.abs(near[0] - seconds)) near = bin;
    const x = left + near[0] / to * (right - left);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    const time = document.createElement("b");
    time.textContent = near[0].toFixed(1) + " s";
    tip.replaceChildren(time, ...rows.map(([name, value]) => {
      const row = document.createElement("span");
      const label = document.createElement("i");
      label.textContent = name;
      row.append(label, value(near));
      return row;
    }));
    tip.hidden = false;
    // Beside the cursor, within what is in sight of a chart that scrolls sideways.
    const at = x * scale;
    const wide = tip.offsetWidth;
    const [first, last] = [figure.scrollLeft, figure.scrollLeft + figure.clientWidth - wide];
    const beside = at + 14 > last ? at - 14 - wide : at + 14;
    tip.style.left = Math.max(first, Math.min(beside, last)) + "px";
  });
})();
