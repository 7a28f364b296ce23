// What is asked of a page that is open. Each answer is what is wrong, in words; nothing if all is well.
"use strict";
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const short = (text) => "\"" + text.trim().replace(/\s+/g, " ").slice(0, 40) + "\"";

// Colours as the browser computes them, in sRGB: [red, green, blue, opacity] of 0 to 1.
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const known = new Map();
const colour = (text) => {
  if (!known.has(text)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = "#000";
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    known.set(text, [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255));
  }
  return known.get(text);
};
const over = (below, above, opacity = 1) => {
  const share = above[3] * opacity;
  return [0, 1, 2].map((at) => below[at] * (1 - share) + above[at] * share).concat(1);
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
};

// What an element paints behind what is in it or above it.
const painted = (element) => {
  const style = getComputedStyle(element);
  if (element instanceof SVGElement) {
    const shape = ["rect", "circle", "path", "polygon"].includes(element.localName);
    return shape && style.fill !== "none" ? [[colour(style.fill), +style.fillOpacity]] : [];
  }
  const gradient = style.backgroundImage.match(/gradient\(((?:rgb|color|oklab)[^)]*\))/);
  return [[colour(style.backgroundColor), 1], ...(gradient ? [[colour(gradient[1]), 1]] : [])];
};

// Every text that can be seen, where it is seen: cut to what scrolls or hides around it.
const texts = () => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || ["SCRIPT", "STYLE", "TITLE"].includes(element.tagName)) continue;
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      const seen = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
      for (let around = element; around; around = around.parentElement) {
        const { overflowX } = getComputedStyle(around);
        if (overflowX === "visible" || around === document.documentElement) continue;
        const edge = around.getBoundingClientRect();
        seen.left = Math.max(seen.left, edge.left);
        seen.right = Math.min(seen.right, edge.right);
        seen.top = Math.max(seen.top, edge.top);
        seen.bottom = Math.min(seen.bottom, edge.bottom);
      }
      if (seen.right - seen.left > 2 && seen.bottom - seen.top > 4) found.push({ node, element, ...seen });
    }
  }
  return found;
};

const look = {
  // By how much the page scrolls sideways.
  width: (wanted) => {
    const beyond = document.documentElement.scrollWidth - wanted;
    return beyond > 0 ? ["it is " + beyond + " pixels too wide"] : [];
  },

  // Text that is hard to read: the contrast that WCAG 2.2 asks of every text, 4.5 to 1.
  contrast: () => {
    const wrong = new Map();
    for (const { node, element, left, right, top, bottom } of texts()) {
      const stack = document.elementsFromPoint((left + right) / 2, (top + bottom) / 2);
      const own = stack.indexOf(element);
      const below = (own < 0 ? [element] : stack.slice(own)).reverse();
      const ground = below.flatMap(painted).reduce((under, [rgb, opacity]) => over(under, rgb, opacity), [1, 1, 1, 1]);
      const style = getComputedStyle(element);
      const ink = colour(element instanceof SVGElement ? style.fill : style.color);
      const got = contrast(over(ground, ink), ground);
      if (got >= 4.5) continue;
      const kind = got.toFixed(2) + ", as " + element.localName + "." + element.classList;
      wrong.set(kind, wrong.get(kind) ?? short(node.data) + " has a contrast of " + kind);
    }
    return [...wrong.values()];
  },

  // Text on other text, or under a button. The boxes of lines are higher than their letters.
  overlaps: () => {
    const wrong = [];
    const all = texts().map((one) => {
      const slack = (one.bottom - one.top) * 0.2;
      return { ...one, top: one.top + slack, bottom: one.bottom - slack };
    });
    const meets = (a, b) => a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom && b.top < a.bottom;
    all.sort((a, b) => a.top - b.top);
    all.forEach((one, at) => {
      for (let next = at + 1; next < all.length && all[next].top < one.bottom; next += 1) {
        const other = all[next];
        if (one.node !== other.node && meets(one, other)) wrong.push(short(one.node.data) + " lies on " + short(other.node.data));
      }
    });
    for (const button of document.querySelectorAll("button")) {
      const edge = button.getBoundingClientRect();
      const under = all.find((one) => !button.contains(one.node) && meets(edge, one));
      if (button.checkVisibility() && under) wrong.push("a button covers " + short(under.node.data));
    }
    return wrong;
  },

  // How many there are of what can be clicked.
  count: (selector) => document.querySelectorAll(selector).length,

  // Where to click; null if it is not shown.
  place: (selector, at) => {
    const element = document.querySelectorAll(selector)[at];
    if (!element.checkVisibility()) return null;
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const box = element.getClientRects()[0];
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  },

  // After a click: what was folded is open.
  summary: (at) => {
    const summary = document.querySelectorAll("summary")[at];
    return summary.parentElement.open ? [] : [short(summary.textContent) + " does not open"];
  },

  // After a click on a step of a diagram: its line of the history is marked and in sight.
  step: (at) => {
    const link = document.querySelectorAll(".space a")[at];
    const words = short(link.textContent);
    const line = document.querySelector("pre span:target");
    if (!line || "#" + line.id !== link.getAttribute("href")) return [words + " leads to no line"];
    const box = line.getBoundingClientRect();
    const pre = line.closest("pre").getBoundingClientRect();
    const middle = (Math.max(box.top, pre.top) + Math.min(box.bottom, pre.bottom)) / 2;
    const seen = line.checkVisibility() && box.bottom > pre.top && box.top < pre.bottom && middle > 0 && middle < innerHeight;
    if (!seen) return [words + " leads to a line that is out of sight"];
    const marked = colour(getComputedStyle(line).backgroundColor)[3] > 0;
    return marked ? [] : [words + " leads to a line that is not marked"];
  },

  // After a click on a button that copies: it says so, and what it copied is there.
  copy: async (at) => {
    const button = document.querySelectorAll("button[data-copy]")[at];
    for (let tries = 0; tries < 50 && button.textContent !== "Copied"; tries += 1) await wait(20);
    if (button.textContent !== "Copied") return ["\"" + button.textContent + "\" copies nothing"];
    const copied = await navigator.clipboard.readText();
    return copied === button.dataset.copy ? [] : ["\"Copy\" copies " + short(copied)];
  },

  // With the pointer on the chart over time: the numbers of that time are shown, within the page.
  tip: () => {
    const tip = document.querySelector(".tip");
    if (tip.hidden) return ["the chart over time shows no numbers"];
    const box = tip.getBoundingClientRect();
    return box.left >= 0 && box.right <= innerWidth ? [] : ["the numbers of the chart over time are cut off"];
  },
};
