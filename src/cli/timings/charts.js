// What pages have in common: elements, numbers, charts over time. Every text goes in as text.
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const tip = document.getElementById("tip");

function make(tag, classes, ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function draw(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function colour(name) {
  return `var(--${name})`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (count >= 1024 && at < units.length - 1) { count /= 1024; at += 1; }
  return `${at === 0 || count >= 100 ? count.toFixed(0) : count >= 10 ? count.toFixed(1) : count.toFixed(2)} ${units[at]}`;
}

function perSecond(count) {
  return `${bytes(count)}/s`;
}

function number(count) {
  return count.toLocaleString("en", { maximumFractionDigits: count >= 100 ? 0 : count >= 10 ? 1 : 2 });
}

function seconds(time) {
  if (time < 0.0995) return `${(time * 1000).toFixed(time < 0.01 ? 1 : 0)} ms`;
  if (time < 100) return `${time.toFixed(time < 10 ? 2 : 1)} s`;
  const whole = Math.round(time);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

// A moment on an axis: `0`, `2.5 s`, `1:30`, `2:05:00`.
function clock(time) {
  if (time < 120) return `${+time.toFixed(2)} s`;
  const whole = Math.round(time), two = part => String(part).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// Round numbers from 0 to `most`, about `count` of them, in steps of `base`'s powers.
function ticks(most, count, binary) {
  if (!(most > 0)) return [0];
  const unit = binary ? Math.pow(1024, Math.floor(Math.log(most) / Math.log(1024))) : 1;
  const raw = most / unit / count;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].find(factor => factor * power >= raw) * power * unit;
  const marks = [];
  for (let at = 0; at <= most * 1.0001; at += step) marks.push(at);
  return marks;
}

function timeTicks(most, count) {
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const step = steps.find(step => most / step <= count) || Math.ceil(most / count / 86400) * 86400;
  const marks = [];
  for (let at = 0; at <= most; at += step) marks.push(at);
  return marks;
}

function hover(node, text) {
  node.addEventListener("mousemove", event => {
    const told = text(event);
    if (!told) { tip.style.display = "none"; return; }
    tip.textContent = told;
    tip.style.display = "block";
    const left = event.clientX + 16, room = window.innerWidth - tip.offsetWidth - 8;
    tip.style.left = `${left > room ? Math.max(4, event.clientX - tip.offsetWidth - 12) : left}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 6))}px`;
  });
  node.addEventListener("mouseleave", () => { tip.style.display = "none"; });
}

function legend(entries) {
  return make("div", "legend", ...entries.map(({ name, color, kind }) => {
    const mark = make("i", kind || "");
    mark.style.background = colour(color);
    mark.style.borderColor = colour(color);
    return make("span", "", mark, name);
  }));
}

function section(title, note, ...children) {
  const node = make("section", "", make("h2", "", title), note ? make("div", "note", note) : null, ...children);
  page.append(node);
  return node;
}

// Draws into a box as wide as it is, and again when that changes.
function fitted(render) {
  const box = make("div", "chart");
  let drawn = 0;
  const fit = () => {
    const width = Math.floor(box.clientWidth);
    if (width > 0 && width !== drawn) {
      drawn = width;
      box.replaceChildren(render(width));
    }
  };
  new ResizeObserver(fit).observe(box);
  return { box, fit };
}

const LEFT = 76, RIGHT = 8, BOTTOM = 20, TOP = 6;

// Areas on top of each other, lines over them, and marks, over intervals of `step` seconds up to `end`.
function timeChart({ step, end, areas = [], lines = [], marks = [], unit = number, binary = false, whole = false, height = 150, cap = 0, extra }) {
  const count = Math.max(0, ...[...areas, ...lines].map(({ values }) => values.length));
  const sums = Array.from({ length: count }, (_, at) => areas.reduce((sum, area) => sum + (area.values[at] || 0), 0));
  const highest = Math.max(0, ...sums, ...lines.flatMap(line => line.values)) || 1;
  const most = cap > 0 ? Math.min(cap, highest) : highest;
  const { box, fit } = fitted(width => {
    const x = time => LEFT + (width - LEFT - RIGHT) * Math.min(1, time / end);
    const y = value => TOP + (height - TOP - BOTTOM) * (1 - Math.min(value / most / 1.04, 1));
    const svg = draw("svg", { height, viewBox: `0 0 ${width} ${height}` });
    for (const at of ticks(most, 4, binary).filter(at => !whole || Number.isInteger(at))) {
      svg.append(draw("line", { x1: LEFT, x2: width - RIGHT, y1: y(at), y2: y(at), stroke: colour("grid") }));
      svg.append(draw("text", { x: LEFT - 8, y: y(at) + 4, "text-anchor": "end" }, at === 0 ? "0" : unit(at)));
    }
    const along = timeTicks(end, Math.max(2, Math.floor(width / 90)));
    for (const at of along) {
      svg.append(draw("line", { x1: x(at), x2: x(at), y1: TOP, y2: height - BOTTOM, stroke: colour("grid") }));
      svg.append(draw("text", { x: x(at), y: height - 5, "text-anchor": "middle" }, clock(at)));
    }
    const below = new Array(count).fill(0);
    for (const area of areas) {
      const above = below.map((value, at) => value + (area.values[at] || 0));
      const up = above.map((value, at) => `${x(at * step)},${y(value)} ${x((at + 1) * step)},${y(value)}`);
      const down = below.map((value, at) => `${x((at + 1) * step)},${y(value)} ${x(at * step)},${y(value)}`).reverse();
      svg.append(draw("polygon", { points: [...up, ...down].join(" "), fill: colour(area.color), opacity: 0.85 }));
      above.forEach((value, at) => { below[at] = value; });
    }
    for (const line of lines) {
      const points = line.values.map((value, at) => `${x(at * step)},${y(value)} ${x((at + 1) * step)},${y(value)}`);
      svg.append(draw("polyline", {
        points: points.join(" "), fill: "none", stroke: colour(line.color), "stroke-width": 1.6,
        ...(line.kind === "dash" ? { "stroke-dasharray": "5 4" } : {}),
      }));
    }
    for (const mark of marks) {
      const size = mark.bad ? 4.5 : 3;
      svg.append(draw("circle", { cx: x(mark.at), cy: y(mark.value), r: size, fill: colour(mark.bad ? "fail" : "ink") }));
    }
    const cursor = draw("line", { y1: TOP, y2: height - BOTTOM, stroke: colour("soft"), visibility: "hidden" });
    svg.append(cursor);
    svg.append(draw("rect", { x: LEFT, y: 0, width: Math.max(0, width - LEFT - RIGHT), height, fill: "transparent" }));
    hover(svg, event => {
      const place = event.clientX - svg.getBoundingClientRect().left;
      const time = (place - LEFT) / (width - LEFT - RIGHT) * end;
      const at = Math.floor(time / step);
      cursor.setAttribute("visibility", at >= 0 && at < count ? "visible" : "hidden");
      if (at < 0 || at >= count) return "";
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
      const told = [...lines, ...areas].filter(({ values }) => values[at] > 0);
      const near = marks.filter(mark => Math.abs(x(mark.at) - place) < 5).map(mark => mark.text);
      return [clock(time), ...told.map(({ name, values }) => `${name}: ${unit(values[at])}`), ...(extra ? [extra(at)] : []), ...near]
        .filter(text => text).join("\n");
    });
    svg.addEventListener("mouseleave", () => cursor.setAttribute("visibility", "hidden"));
    return svg;
  });
  queueMicrotask(fit);
  const entries = [...lines.map(line => ({ kind: "stroke", ...line })), ...areas];
  return [legend(entries), box];
}

// Columns are `[title, value of a row, is it text, is it bad]`.
function table(rows, columns, className) {
  const head = make("tr", "", ...columns.map(([title, , isText]) => make("th", isText ? "left" : "", title)));
  const body = rows.map(row => make("tr", className || "", ...columns.map(([, value, isText, isBad]) =>
    make("td", `${isText ? "left" : ""}${isBad && isBad(row) ? " bad" : ""}`, String(value(row) ?? "")))));
  return make("div", "wide", make("table", "", make("thead", "", head), make("tbody", "", ...body)));
}

function tile(value, name, isBad) {
  return make("div", `tile${isBad ? " bad" : ""}`, make("b", "", value), make("span", "", name));
}
