// The page of a run.
const { series, summary, files, bodies, calls, permits } = data;
const end = Math.max(data.seconds, 0.1);
const step = series.width;
// Means over a second, where intervals are shorter: one event in a tenth of a second is no rate.
function smooth(values) {
  const reach = Math.round(0.5 / step);
  if (reach < 1) return values;
  return values.map((_, at) => {
    const near = values.slice(Math.max(0, at - reach), at + reach + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

const used = columns => columns.some(value => value > 0);

function head() {
  const done = summary.uploaded + summary.reused + summary.skipped;
  const bad = summary.failed > 0 ? ", some failed" : "";
  page.append(
    make("h1", "", "panup upload"),
    make("div", "soft", `began ${data.at}; ${summary.interrupted > 0 ? "interrupted" : `ended${bad}`}; panup ${data.version}`),
  );
  const tiles = [
    tile(number(summary.files), summary.files === 1 ? "file" : "files"),
    tile(bytes(summary.bytes), `in ${number(done)} done`),
    tile(seconds(data.seconds), "in all"),
    tile(perSecond(summary.sent / end), `mean, ${bytes(summary.sent)} sent`),
  ];
  if (done >= 10) tiles.push(tile(number(done / end), "files per second"));
  const counts = [["uploaded", false], ["reused", false], ["skipped", false], ["failed", true], ["interrupted", true]];
  for (const [name, isBad] of counts) if (summary[name] > 0) tiles.push(tile(number(summary[name]), name, isBad));
  if (summary.resumed > 0) tiles.push(tile(bytes(summary.resumed), "sent by an earlier run"));
  if (summary.retries > 0) tiles.push(tile(number(summary.retries), summary.retries === 1 ? "retry" : "retries"));
  page.append(make("div", "tiles", ...tiles));
}

function spent() {
  const total = data.spent.reduce((sum, { seconds }) => sum + seconds, 0);
  if (total <= 0) return;
  const share = part => part.seconds / total * 100;
  const told = part => `${part.name} ${share(part) < 1 ? "below 1" : share(part).toFixed(0)} %, ${seconds(part.seconds)}`;
  const bar = make("div", "share", ...data.spent.map(part => {
    const node = make("div", "");
    node.style.flex = `${share(part)} 0 0`;
    node.style.background = colour(part.key);
    hover(node, () => told(part));
    return node;
  }));
  section("Where the time went", "What would have had to be faster for the run to be faster, looked at ten times a second.",
    bar, legend(data.spent.map(part => ({ name: told(part), color: part.key }))));
}

// What held the run back, below a chart.
function band() {
  const node = make("div", "band");
  node.style.marginLeft = `${LEFT}px`;
  node.style.marginRight = `${RIGHT}px`;
  let at = 0;
  const held = series.held;
  while (at < held.length) {
    let next = at + 1;
    while (next < held.length && held[next] === held[at]) next += 1;
    const what = data.held[held[at]], from = at;
    const part = make("div", "");
    part.style.flex = `${next - at} 0 0`;
    if (what) part.style.background = colour(what.key);
    hover(part, () => what && `${clock(from * step)} to ${clock(Math.min(end, next * step))}: held by ${what.name}`);
    node.append(part);
    at = next;
  }
  const rest = make("div", "");
  rest.style.flex = `${Math.max(0, end / step - held.length)} 0 0`;
  node.append(rest);
  return node;
}

function heldAt(at) {
  const what = data.held[series.held[at]];
  return what ? `held by ${what.name}` : "";
}

function goodput() {
  const areas = data.servers.map((name, at) => ({ name, color: `s${at}`, values: series.carried[at] }))
    .filter(area => used(area.values));
  const lines = [{ name: "taken by sockets, framing included", color: "ink", values: smooth(series.sent) }];
  if (used(series.hashed)) lines.push({ name: "hashed", color: "hash", values: smooth(series.hashed), kind: "dash" });
  // Hashing, and sockets that fill, may be many times as fast, and would flatten everything else.
  const carried = series.sent.map((_, at) => areas.reduce((sum, area) => sum + area.values[at], 0));
  const most = Math.max(0, ...carried) * 1.6;
  const isCapped = most > 0 && lines.some(({ values }) => values.some(value => value > most));
  section("Goodput, by server",
    `Acknowledged bytes per second, spread over the time that each body took; the strip below shows what held the run back.${isCapped ? " Lines that leave the picture were faster than there is room for." : ""}`,
    ...timeChart({ step, end, areas, lines, cap: most, unit: perSecond, binary: true, height: 190, extra: heldAt }), band());
}

function flight() {
  const marks = permits.rows.map(({ at, permits: value, what, cut }) =>
    ({ at, value, bad: cut, text: `${clock(at)}, ${value} permits: ${what}` }));
  const flight = summary.files >= 1000 ? smooth(series.flight) : series.flight;
  const node = section("Bodies in flight",
    "How many there were, and how many the limiter allowed; a dot is a decision of its, a red one a cut.",
    ...timeChart({
      step, end, whole: true, height: 150, marks,
      areas: [{ name: "in flight", color: "send", values: flight }],
      lines: [{ name: "allowed", color: "ink", values: series.permits }],
    }));
  if (permits.rows.length > 0) {
    const left = permits.left_out > 0 ? `, ${number(permits.left_out)} in the middle left out` : "";
    node.append(make("details", "", make("summary", "", `the limiter's decisions (${permits.rows.length}${left})`),
      table(permits.rows, [
        ["at", row => clock(row.at)], ["permits", row => row.permits],
        ["what", row => row.what, true, row => row.cut],
      ])));
  }
}

const STEPS = [["hashing", "hash"], ["waiting", "wait"], ["sending", "send"], ["verifying", "verify"]];

function work() {
  const areas = STEPS.map(([name, color], at) => ({
    name, color, values: summary.files >= 1000 ? smooth(series.steps[at]) : series.steps[at],
  })).filter(area => used(area.values));
  if (areas.length > 0) {
    section("Files under way", "How many were at which step.", ...timeChart({ step, end, areas, whole: true, height: 140, extra: heldAt }));
  }
  if (summary.files >= 10) {
    section("Files done per second", "", ...timeChart({
      step, end, height: 120, areas: [{ name: "files per second", color: "done", values: smooth(series.done) }],
    }));
  }
}

function timeline() {
  if (files.rows.length === 0) return;
  const all = files.count === files.rows.length;
  const axis = make("div", "file-row axis-row", make("div", "name", ""), make("div", "bar"));
  for (const at of timeTicks(end, 9)) {
    const mark = make("span", "", clock(at));
    mark.style.left = `${at / end * 100}%`;
    axis.lastChild.append(mark);
  }
  axis.className = "axis-row";
  axis.style.cssText = "display:flex;height:17px;padding:0 8px";
  axis.firstChild.style.cssText = "flex:0 0 236px";
  axis.lastChild.style.cssText = "position:relative;flex:1";
  const rows = files.rows.map(file => {
    const bar = make("div", "bar");
    const put = (from, time, color) => {
      if (time <= 0) return;
      const part = make("i", "");
      part.style.left = `${Math.min(100, from / end * 100)}%`;
      part.style.width = `${time / end * 100}%`;
      part.style.background = colour(color);
      bar.append(part);
    };
    let at = file.began;
    put(at, file.took, file.status === "failed" ? "fail" : "line");
    file.steps.forEach((time, kind) => { put(at, time, STEPS[kind][1]); at += time; });
    const name = make("div", "name", file.name);
    const row = make("div", `file-row ${file.status}`, name, bar);
    hover(row, () => [`${file.name}`, `${file.status}, ${bytes(file.size)}, ${seconds(file.took)} from ${clock(file.began)} on`,
      ...STEPS.map(([word], kind) => file.steps[kind] > 0 ? `${word} ${seconds(file.steps[kind])}` : "")].filter(text => text).join("\n"));
    return row;
  });
  section(all ? "Files" : "The files that took longest",
    all ? "Each from its turn to its end." : `${number(files.rows.length)} of ${number(files.count)}, each from its turn to its end.`,
    legend(STEPS.map(([name, color]) => ({ name, color }))), make("div", "scroll", axis, ...rows));
}

// Bodies of one server in as few lanes as they fit in.
function lanes(rows) {
  const ends = [];
  return [rows.map(row => {
    let lane = ends.findIndex(free => free <= row[1] + 1e-9);
    if (lane < 0) lane = ends.push(0) - 1;
    ends[lane] = row[2];
    return [lane, row];
  }), ends.length];
}

function flights() {
  if (bodies.rows.length === 0) return;
  const rows = [...bodies.rows].sort((a, b) => a[1] - b[1]);
  const groups = data.servers.map((name, server) => [name, server, ...lanes(rows.filter(row => row[0] === server))])
    .filter(([, , , count]) => count > 0);
  const { box, fit } = fitted(width => {
    const svg = draw("svg", {});
    const x = time => LEFT + (width - LEFT - RIGHT) * Math.min(1, time / end);
    let top = 4;
    for (const [name, server, placed, count] of groups) {
      const lane = Math.max(2.5, Math.min(12, 150 / count));
      svg.append(draw("text", { x: LEFT, y: top + 11 }, name));
      top += 16;
      for (const [at, [, began, ended, size, attempt, how]] of placed) {
        const rect = draw("rect", {
          x: x(began), y: top + at * lane, width: Math.max(how === 1 ? 2 : 0.8, x(ended) - x(began) - 0.4), height: Math.max(1.5, lane - 1),
          rx: 1, fill: colour(["s" + server, "fail", "wait"][how]), opacity: how === 0 && attempt > 1 ? 0.6 : 0.9,
        });
        hover(rect, () => `${name}\n${bytes(size)}, ${seconds(ended - began)} from ${clock(began)} on\n`
          + ["answered", "failed", "not waited for"][how] + (attempt > 1 ? `, attempt ${attempt}` : ""));
        svg.append(rect);
      }
      top += count * lane + 8;
    }
    for (const at of timeTicks(end, Math.max(2, Math.floor(width / 90)))) {
      svg.append(draw("text", { x: x(at), y: top + 11, "text-anchor": "middle" }, clock(at)));
    }
    svg.setAttribute("height", top + 16);
    svg.setAttribute("viewBox", `0 0 ${width} ${top + 16}`);
    return svg;
  });
  queueMicrotask(fit);
  const which = bodies.stride > 1
    ? `One in ${bodies.stride} of ${number(bodies.count)} bodies` : `All ${number(bodies.count)} bodies`;
  section("Bodies, by server", `${which}, each from its first byte to its answer. Red failed; grey was not waited for, since another was faster or the run ended.`, box);
}

function rates() {
  const shown = data.operations.map((name, at) => ({ name, at, color: `s${at % 9}`, values: smooth(series.calls[at]) }))
    .filter(({ values }) => used(values));
  if (shown.length === 0) return;
  const granted = shown.filter(({ at }) => used(series.granted[at])).map(({ name, at, color, values }) => {
    // A limit far above what was asked for says nothing.
    const most = Math.max(...values) * 2;
    return { name: `${name}, granted`, color, kind: "dash", values: series.granted[at], most };
  }).filter(({ values, most }) => Math.max(...values) <= most);
  section("Calls per second", "Attempts that ended, and where it was near, the rate that the service grants.",
    ...timeChart({ step, end, height: 150, lines: [...shown, ...granted] }),
    table(calls.rows.filter(row => row.count > 0 || row.pauses > 0), [
      ["call", row => data.operations[row.call], true],
      ["attempts", row => number(row.count)],
      ["failed", row => row.failed > 0 ? number(row.failed) : "", false, () => true],
      ["not waited for", row => row.dropped > 0 ? number(row.dropped) : ""],
      ["per second", row => number(row.count / end)],
      ["mean answer", row => seconds(row.mean)],
      ["longest", row => seconds(row.longest)],
      ["waited for their turn", row => row.waited >= 0.001 ? seconds(row.waited) : ""],
      ["longest wait", row => row.longest_wait >= 0.001 ? seconds(row.longest_wait) : ""],
      ["paused after failures", row => row.paused > 0 ? seconds(row.paused) : ""],
    ]));
}

function retries() {
  if (calls.failures.length === 0) return;
  section("Attempts that failed, and why", "Most of them were repeated.",
    ...(used(series.retries) ? timeChart({
      step, end, height: 90, areas: [{ name: "repeats", color: "fail", values: series.retries }],
    }) : []),
    table(calls.failures, [
      ["call", row => data.operations[row.call], true],
      ["server", row => row.server || "the API", true],
      ["times", row => number(row.count)],
      ["first", row => clock(row.first)],
      ["last", row => clock(row.last)],
      ["kind", row => [row.kind, row.status && `HTTP ${row.status}`, row.code && `code ${row.code}`].filter(part => part).join(", "), true],
      ["the first one said", row => row.why, true],
    ], "retry-row"));
}

function failed() {
  if (files.failed.length === 0) return;
  const rest = files.failures - files.failed.length;
  section("Files that failed", rest > 0 ? `The first ${files.failed.length}; ${number(rest)} more are in --report.` : "",
    table(files.failed, [
      ["file", row => row.name, true], ["kind", row => row.kind, true], ["why", row => row.why, true],
    ], "failed-row"));
}

function slowest() {
  const rows = [...files.rows].sort((a, b) => b.took - a.took).slice(0, 50);
  if (rows.length === 0) return;
  section("The slowest files", files.count > rows.length ? `${rows.length} of ${number(files.count)}.` : "",
    table(rows, [
      ["file", row => row.name, true],
      ["", row => row.status, true, row => row.status === "failed" || row.status === "interrupted"],
      ["size", row => bytes(row.size)],
      ["sent", row => row.sent > 0 ? bytes(row.sent) : ""],
      ["took", row => seconds(row.took)],
      ...STEPS.map(([name], at) => [name, row => row.steps[at] > 0 ? seconds(row.steps[at]) : ""]),
      ["while sent", row => row.steps[2] > 0 && row.sent > 0 ? perSecond(row.sent / row.steps[2]) : ""],
    ], "slow-row"));
}

[head, spent, goodput, flight, work, timeline, flights, rates, retries, failed, slowest].forEach(part => part());
