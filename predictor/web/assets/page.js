const model = JSON.parse(document.getElementById("model").textContent);
const { features, target, intercept } = model;
const byId = (id) => document.getElementById(id);
const rows = features.map((_, i) => ({
  slider: byId(`slider-${i}`),
  value: byId(`value-${i}`),
  note: byId(`note-${i}`),
  bar: byId(`bar-${i}`),
  amount: byId(`amount-${i}`),
}));
const reach = features.map(({ weight, minimum, maximum }) => Math.abs(weight * (maximum - minimum)));
const state = { values: features.map(start), axis: reach.indexOf(Math.max(...reach)), prediction: NaN, x: null };

function show(value, digits = 5) {
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e9 || size < 1e-4)
    ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
    : value.toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: size >= 1e4 });
  return text.replace(/-/g, "\u2212");
}

// Round a value of the slider, which has a thousand steps, to few digits within the training range.
function round(value, { minimum, maximum }) {
  const width = maximum - minimum;
  if (!(width > 0 && Number.isFinite(width))) return value;
  const unit = 10 ** (Math.floor(Math.log10(width)) - 3);
  const tidy = (count) => Number((count * unit).toPrecision(12));
  const nearest = tidy(Math.round(value / unit));
  if (nearest < minimum) return tidy(Math.ceil(minimum / unit));
  if (nearest > maximum) return tidy(Math.floor(maximum / unit));
  return nearest;
}

function start(feature) {
  return round(Math.min(Math.max(feature.mean, feature.minimum), feature.maximum), feature);
}

function line(x) {
  return features.reduce((sum, { weight }, i) => sum + weight * (i === state.axis ? x : state.values[i]), 0) + intercept;
}

// The form

function read(i) {
  const { value, slider } = rows[i];
  state.values[i] = value.value.trim() === "" ? NaN : value.valueAsNumber;
  placeSlider(i);
  slider.setAttribute("aria-valuetext", value.value || "none");
}

function placeSlider(i) {
  const { minimum, maximum } = features[i];
  const share = (state.values[i] - minimum) / (maximum - minimum || 1);
  rows[i].slider.value = 1000 * Math.min(Math.max(share, 0), 1);
}

function put(i, number) {
  state.values[i] = number;
  rows[i].value.value = number;
  rows[i].slider.setAttribute("aria-valuetext", number);
}

function changed(i) {
  state.axis = i;
  byId("axis").value = i;
  update();
}

function update() {
  features.forEach(annotate);
  contributions();
  byId("working").textContent = `${show(features[0].weight)} \u00d7 ${show(state.values[0], 6)} ${intercept < 0 ? "\u2212" : "+"} ${show(Math.abs(intercept))}`;
  byId("body").textContent = JSON.stringify({ instance: features.length > 1 ? state.values : state.values[0] });
  predict();
}

function annotate(feature, i) {
  const value = state.values[i];
  const { note, value: input } = rows[i];
  const beyond = value < feature.minimum ? "Below" : value > feature.maximum ? "Above" : "";
  const missing = Number.isFinite(value) ? "" : "Enter a number.";
  note.textContent = missing || (beyond && `${beyond} the training range: an extrapolation.`);
  note.hidden = !note.textContent;
  note.classList.toggle("wrong", Boolean(missing));
  input.setAttribute("aria-invalid", Boolean(missing));
}

// The largest contribution of each feature within its training range, for a constant scale of the bars.
const usual = features.map(({ weight, minimum, maximum }) => Math.abs(weight) * Math.max(Math.abs(minimum), Math.abs(maximum)));

function contributions() {
  const amounts = features.map(({ weight }, i) => weight * state.values[i]);
  const most = Math.max(...usual, ...amounts.filter(Number.isFinite).map(Math.abs));
  amounts.forEach((amount, i) => {
    const { bar, amount: label } = rows[i];
    const share = Number.isFinite(amount) ? (50 * Math.abs(amount)) / (most || 1) : 0;
    bar.style.setProperty("--from", `${amount < 0 ? 50 - share : 50}%`);
    bar.style.setProperty("--share", `${share}%`);
    bar.classList.toggle("negative", amount < 0);
    label.textContent = Number.isFinite(amount) ? (amount < 0 ? "" : "+") + decimals(amount) : "";
  });
}

// Format a summand with the same number of decimals as the others.
function decimals(amount) {
  const places = 4 - Math.floor(Math.log10(Math.max(Math.abs(intercept), ...usual)));
  return places >= 0 && places <= 10 && Math.abs(amount) < 1e9 ? amount.toFixed(places).replace(/^-(?=[0.]*$)/, "").replace("-", "\u2212") : show(amount, 4);
}

// The prediction: one request at a time, then another if the values have changed meanwhile.

let requesting = false;
let outdated = false;

async function predict() {
  outdated = true;
  if (requesting) return;
  requesting = true;
  while (outdated) {
    outdated = false;
    await request();
  }
  requesting = false;
}

async function request() {
  if (!state.values.every(Number.isFinite)) return present(NaN, "");
  try {
    const response = await fetch("stream", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...credential() },
      body: byId("body").textContent,
      signal: AbortSignal.timeout(10000),
    });
    const answer = await response.json().catch(() => ({}));
    if (response.status === 401 || response.status === 403) byId("credential").hidden = false;
    if (response.ok && typeof answer.prediction === "number") return present(answer.prediction, "");
    return present(NaN, answer.error || `The predictor answered with status ${response.status}.`);
  } catch (failure) {
    return present(NaN, failure.name === "TimeoutError" ? "The predictor did not answer within 10 seconds." : "The predictor can’t be reached.");
  }
}

// The key is asked for if the predictor requires one, and stored only in its input field.
function credential() {
  const key = byId("key").value.trim();
  byId("header").textContent = key ? ' -H "Authorization: Bearer $KEY"' : "";
  return key ? { authorization: `Bearer ${key}` } : {};
}

let announcing;

function present(prediction, error) {
  state.prediction = prediction;
  const shown = Number.isFinite(prediction) ? show(prediction) : "–";
  byId("prediction").textContent = shown;
  byId("prediction").title = Number.isFinite(prediction) ? String(prediction) : "";
  byId("total").textContent = Number.isFinite(prediction) ? decimals(prediction) : "–";
  byId("error").textContent = error;
  byId("error").hidden = !error;
  draw();
  clearTimeout(announcing);
  announcing = setTimeout(() => { byId("announcement").textContent = error || Number.isNaN(prediction) ? "" : `Predicted ${target.name}: ${shown}`; }, 600);
}

// The chart

function draw() {
  const feature = features[state.axis];
  state.x = drawChart(byId("chart"), { feature, target, line, value: state.values[state.axis], prediction: state.prediction });
  byId("chart-text").textContent = state.x ? "The fitted line" : "These numbers are too large to draw";
}

function drag(event) {
  if (!state.x || !(event.buttons & 1)) return;
  const { minimum, maximum } = features[state.axis];
  const pixel = event.clientX - byId("chart").getBoundingClientRect().left;
  put(state.axis, round(Math.min(Math.max(state.x.invert(pixel), minimum), maximum), features[state.axis]));
  placeSlider(state.axis);
  update();
}

rows.forEach(({ slider, value }, i) => {
  const { minimum, maximum } = features[i];
  slider.disabled = !(maximum > minimum && Number.isFinite(maximum - minimum));
  put(i, state.values[i]);
  placeSlider(i);
  slider.addEventListener("input", () => {
    put(i, round(minimum + (slider.value / 1000) * (maximum - minimum), features[i]));
    changed(i);
  });
  value.addEventListener("input", () => { read(i); changed(i); });
});
byId("axis").addEventListener("change", (event) => { state.axis = Number(event.target.value); draw(); });
byId("key").addEventListener("change", predict);
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("chart").addEventListener("pointerdown", (event) => { event.target.setPointerCapture?.(event.pointerId); drag(event); });
byId("chart").addEventListener("pointermove", drag);
byId("axis").value = state.axis;
byId("intercept").textContent = decimals(intercept);
new ResizeObserver(draw).observe(byId("chart"));
update();
