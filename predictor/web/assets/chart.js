const MARGIN = { top: 30, right: 18, bottom: 46, left: 58 };

function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Return about `count` round numbers within [low, high].
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = power * [1, 2, 5, 10].find((factor) => raw <= factor * power);
  const first = Math.ceil(low / unit);
  const places = Math.max(0, Math.floor(high / unit) - first + 1);
  return Array.from({ length: Math.min(places, 50) }, (_, i) => Number(((first + i) * unit).toPrecision(12)));
}

function domain(values, padding) {
  const known = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const space = (high - low) * padding || Math.abs(low) * 0.1 || 1;
  return [low - space, high + space];
}

function scale([low, high], [from, to]) {
  const factor = (to - from) / (high - low);
  const place = (value) => from + (value - low) * factor;
  place.invert = (pixel) => low + (pixel - from) / factor;
  return place;
}

// Return the histogram of the training data along the bottom, with the bins of the model's reference.
function density(feature, x, bottom, height) {
  const bounds = [feature.minimum, ...feature.edges, feature.maximum];
  const bins = feature.proportions
    .map((share, i) => ({ from: bounds[i], to: bounds[i + 1], density: share / (bounds[i + 1] - bounds[i]) }))
    .filter((bin) => bin.to > bin.from && bin.density > 0);
  const most = Math.max(...bins.map((bin) => bin.density));
  return bins.map(({ from, to, density }) => {
    const tall = (height * density) / most;
    return svg("rect", { class: "density", x: x(from), y: bottom - tall, width: Math.max(x(to) - x(from) - 1, 0.5), height: tall });
  });
}

// Whether the model jumps between levels: most neighbouring points are equal, but not all.
function isStepped(curve) {
  const equal = curve.filter(([, y], i) => i > 0 && y === curve[i - 1][1]).length;
  return equal > curve.length / 2 && equal < curve.length - 1;
}

function fitOf(curve, x, y) {
  const points = curve.map(([value, height], i) => {
    const place = `${x(value)} ${y(height)}`;
    // A jump is drawn halfway between the two points that show it.
    return i && isStepped(curve) ? `H${(x(value) + x(curve[i - 1][0])) / 2}V${y(height)}H${x(value)}` : `${i ? "L" : "M"}${place}`;
  });
  return svg("path", { class: "fit", d: points.join("") });
}

// The values of a boolean or a category as bars, with their share in training beside their names.
function bars(feature, x, y, inside, chosen) {
  const width = (inside.right - inside.left) / feature.curve.length;
  const base = Math.max(Math.min(y(0), inside.bottom), inside.top);
  return feature.curve.flatMap(([code, height]) => {
    const left = inside.left + code * width;
    const top = Math.min(y(height), base);
    const name = feature.type === "boolean" ? ["false", "true"][code] : feature.categories[code];
    const label = name.length * 7 > width ? `${name.slice(0, Math.max(1, Math.floor(width / 7) - 1))}\u2026` : name;
    const text = svg("text", { class: "tick", x: left + width / 2, y: inside.bottom + 18, "text-anchor": "middle" }, label);
    text.append(svg("title", {}, name));
    const bar = { x: left + width * 0.15, width: width * 0.7, y: top, height: Math.max(Math.abs(y(height) - base), 1) };
    return [svg("rect", { class: code === chosen ? "level chosen" : "level", ...bar }), text];
  });
}

/* Draw the model along one input, and the prediction as a point or a bar, if there is one.
   Returns the scale of x, or null if the numbers are too large to draw. */
function drawChart(chart, { feature, target, value, prediction }) {
  const width = Math.max(chart.clientWidth, 240);
  const height = Math.round(Math.min(Math.max(width * 0.6, 250), 400));
  const inside = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.setAttribute("height", height);

  const isNumber = feature.type === "number";
  const [low, high] = domain([feature.minimum, feature.maximum, value ?? NaN], 0.04);
  const heights = domain([target.minimum, target.maximum, ...feature.curve.map((point) => point[1]), prediction], 0.05);
  if (!feature.curve.length || ![high - low, heights[1] - heights[0]].every(Number.isFinite)) {
    chart.replaceChildren();
    return null;
  }
  const x = scale([low, high], [inside.left, inside.right]);
  const y = scale(heights, [inside.bottom, inside.top]);

  const parts = [];
  for (const tick of ticks(...heights, height / 60)) {
    parts.push(svg("line", { class: "grid", x1: inside.left, x2: inside.right, y1: y(tick), y2: y(tick) }));
    parts.push(svg("text", { class: "tick", x: inside.left - 8, y: y(tick) + 4, "text-anchor": "end" }, show(tick, 4)));
  }
  if (!isNumber) parts.push(...bars(feature, x, y, inside, Number.isFinite(prediction) ? value : null));
  for (const tick of isNumber ? ticks(low, high, width / 90) : []) {
    if (feature.whole && !Number.isInteger(tick)) continue;
    parts.push(svg("text", { class: "tick", x: x(tick), y: inside.bottom + 18, "text-anchor": "middle" }, show(tick, 4)));
  }
  if (isNumber) parts.push(...density(feature, x, inside.bottom, (inside.bottom - inside.top) * 0.2));
  parts.push(svg("line", { class: "axis-line", x1: inside.left, x2: inside.right, y1: inside.bottom, y2: inside.bottom }));
  if (isNumber) parts.push(fitOf(feature.curve, x, y));
  if (isNumber && Number.isFinite(value) && Number.isFinite(prediction)) {
    const [px, py] = [x(value), y(prediction)];
    parts.push(svg("path", { class: "guide", d: `M${px} ${inside.bottom}V${py}H${inside.left}` }));
    parts.push(svg("circle", { class: "halo", cx: px, cy: py, r: 13 }), svg("circle", { class: "point", cx: px, cy: py, r: 6 }));
  }
  const named = (column) => column.name.slice(0, 48) + (column.unit ? `, ${column.unit.slice(0, 24)}` : "");
  parts.push(svg("text", { class: "axis-name", x: inside.right, y: height - 8, "text-anchor": "end" }, named(feature)));
  parts.push(svg("text", { class: "axis-name", x: 16, y: 14 }, named(target)));
  chart.replaceChildren(...parts);
  return isNumber ? x : {};
}
