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

/* Draw the model along one feature, and the prediction as a point, if there is one.
   Returns the scale of x, or null if the numbers are too large to draw. */
function drawChart(chart, { feature, target, value, prediction }) {
  const width = Math.max(chart.clientWidth, 240);
  const height = Math.round(Math.min(Math.max(width * 0.6, 250), 400));
  const inside = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.setAttribute("height", height);

  const [low, high] = domain([feature.minimum, feature.maximum, value], 0.04);
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
  for (const tick of ticks(low, high, width / 90)) {
    parts.push(svg("text", { class: "tick", x: x(tick), y: inside.bottom + 18, "text-anchor": "middle" }, show(tick, 4)));
  }
  parts.push(...density(feature, x, inside.bottom, (inside.bottom - inside.top) * 0.2));
  parts.push(svg("line", { class: "axis-line", x1: inside.left, x2: inside.right, y1: inside.bottom, y2: inside.bottom }));
  parts.push(svg("path", { class: "fit", d: `M${feature.curve.map(([value, height]) => `${x(value)} ${y(height)}`).join("L")}` }));
  if (Number.isFinite(value) && Number.isFinite(prediction)) {
    const [px, py] = [x(value), y(prediction)];
    parts.push(svg("path", { class: "guide", d: `M${px} ${inside.bottom}V${py}H${inside.left}` }));
    parts.push(svg("circle", { class: "halo", cx: px, cy: py, r: 13 }), svg("circle", { class: "point", cx: px, cy: py, r: 6 }));
  }
  const named = (column) => column.name.slice(0, 48) + (column.unit ? `, ${column.unit.slice(0, 24)}` : "");
  parts.push(svg("text", { class: "axis-name", x: inside.right, y: height - 8, "text-anchor": "end" }, named(feature)));
  parts.push(svg("text", { class: "axis-name", x: 16, y: 14 }, named(target)));
  chart.replaceChildren(...parts);
  return x;
}
