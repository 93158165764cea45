// The page of `panup tune`.
const best = Math.max(...data.rows.map(row => row.rate), 1);
page.append(
  make("h1", "", "panup tune"),
  make("div", "soft", `began ${data.at}; panup ${data.version}`),
  make("div", "tiles",
    tile(data.flag || "nothing was measured", "to use"),
    tile(perSecond(best), "the best"),
    tile(bytes(data.sent), `sent of ${bytes(data.budget)}`)),
);
if (data.verdict) page.append(make("p", "", data.verdict));

function bars() {
  const HEIGHT = 250, FOOT = 34;
  const { box, fit } = fitted(width => {
    const svg = draw("svg", { height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` });
    const y = value => 22 + (HEIGHT - FOOT - 22) * (1 - value / best);
    for (const at of ticks(best, 4, true)) {
      svg.append(draw("line", { x1: LEFT, x2: width - RIGHT, y1: y(at), y2: y(at), stroke: colour("grid") }));
      svg.append(draw("text", { x: LEFT - 8, y: y(at) + 4, "text-anchor": "end" }, at === 0 ? "0" : perSecond(at)));
    }
    const place = (width - LEFT - RIGHT) / data.rows.length, bar = Math.min(90, place * 0.62);
    data.rows.forEach((row, at) => {
      const middle = LEFT + place * (at + 0.5);
      const isBest = row.concurrency === data.best;
      const rect = draw("rect", {
        class: "setting", x: middle - bar / 2, y: y(row.rate), width: bar, height: Math.max(1, HEIGHT - FOOT - y(row.rate)), rx: 3,
        fill: colour(row.error ? "fail" : row.concurrency === null ? "done" : "send"), opacity: isBest ? 1 : 0.6,
      });
      hover(rect, () => `${row.error || perSecond(row.rate)}\n${bytes(row.sent)} in ${seconds(row.seconds)}, ${row.retries} repeats`);
      svg.append(rect);
      svg.append(draw("text", { x: middle, y: y(row.rate) - 6, "text-anchor": "middle" }, row.error ? "failed" : perSecond(row.rate)));
      const name = row.concurrency === null ? "auto" : String(row.concurrency);
      svg.append(draw("text", { x: middle, y: HEIGHT - FOOT + 15, "text-anchor": "middle" }, name));
      if (row.concurrency === null) {
        svg.append(draw("text", { x: middle, y: HEIGHT - FOOT + 29, "text-anchor": "middle" }, `reached ${row.permits}`));
      }
    });
    return svg;
  });
  queueMicrotask(fit);
  section("Goodput by bodies in flight", "Acknowledged bytes per second of each setting; the one to use is drawn full.", box);
}

// Each setting's way, from its first byte on, beside the others.
function ways() {
  const rows = data.rows.filter(row => row.way.length > 1);
  if (rows.length === 0) return;
  const end = Math.max(...rows.map(row => row.way.length * data.step));
  const lines = rows.map((row, at) => ({
    name: row.concurrency === null ? "auto" : String(row.concurrency), color: `s${at % 9}`, values: row.way,
  }));
  section("Over time", "Bytes per second that sockets took, from each setting's first byte on.",
    ...timeChart({ step: data.step, end, lines, unit: perSecond, binary: true, height: 180 }));
}

bars();
ways();
section("Settings", "", table(data.rows, [
  ["bodies in flight", row => row.concurrency === null ? `auto (reached ${row.permits})` : row.concurrency, true],
  ["sent", row => bytes(row.sent)],
  ["took", row => seconds(row.seconds)],
  ["goodput", row => perSecond(row.rate)],
  ["of the best", row => `${(row.rate / best * 100).toFixed(0)} %`],
  ["repeats", row => row.retries > 0 ? row.retries : ""],
  ["", row => row.error || "", true, () => true],
], "setting-row"));
