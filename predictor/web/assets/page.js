const model = JSON.parse(document.getElementById("model").textContent);
const { features, target } = model;
const byId = (id) => document.getElementById(id);
const rows = features.map((_, i) => ({
  slider: byId(`slider-${i}`),
  value: byId(`value-${i}`),
  note: byId(`note-${i}`),
  bar: byId(`bar-${i}`),
  amount: byId(`amount-${i}`),
}));
const reach = features.map(({ curve }) => Math.max(0, ...curve.map(([, y]) => y)) - Math.min(0, ...curve.map(([, y]) => y)));
const state = { values: features.map(start), axis: Math.max(0, reach.indexOf(Math.max(...reach))), prediction: NaN, x: null };

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
  return round(Math.min(Math.max(feature.typical, feature.minimum), feature.maximum), feature);
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

// Show how an explanation adds up; empty the table if there is none.
function explain(explanation) {
  byId("sums").hidden = !explanation;
  if (!explanation) return;
  const amounts = features.map(({ name }) => explanation.contributions[name]);
  const most = Math.max(...amounts.map(Math.abs)) || 1;
  const places = 4 - Math.floor(Math.log10(Math.max(Math.abs(explanation.intercept), most)));
  const decimals = (amount) => places >= 0 && places <= 10 && Math.abs(amount) < 1e9
    ? amount.toFixed(places).replace(/^-(?=[0.]*$)/, "").replace("-", "\u2212") : show(amount, 4);
  amounts.forEach((amount, i) => {
    const { bar, amount: label } = rows[i];
    const share = (50 * Math.abs(amount)) / most;
    bar.style.setProperty("--from", `${amount < 0 ? 50 - share : 50}%`);
    bar.style.setProperty("--share", `${share}%`);
    bar.classList.toggle("negative", amount < 0);
    label.textContent = (amount < 0 ? "" : "+") + decimals(amount);
  });
  byId("intercept").textContent = decimals(explanation.intercept);
  byId("total").textContent = decimals(explanation.prediction);
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

// Explain where the model can and the key may, else only predict.
let explaining = model.explain !== null;

async function request() {
  if (!state.values.every(Number.isFinite)) return present(NaN, "");
  try {
    const explained = explaining;
    const response = await fetch(explained ? model.explain : "stream", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...credential() },
      body: JSON.stringify(explained ? { instances: [state.values] } : { instance: state.values }),
      signal: AbortSignal.timeout(10000),
    });
    const answer = await response.json().catch(() => ({}));
    if (response.status === 403 && explained) {
      explaining = false;
      return request();
    }
    if (response.status === 401 || response.status === 403) byId("credential").hidden = false;
    const found = explained ? answer.explanations?.[0] : answer;
    if (response.ok && typeof found?.prediction === "number") return present(found.prediction, "", explained ? found : null);
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

function present(prediction, error, explanation = null) {
  state.prediction = prediction;
  const shown = Number.isFinite(prediction) ? show(prediction) : "–";
  byId("prediction").textContent = shown;
  byId("prediction").title = Number.isFinite(prediction) ? String(prediction) : "";
  explain(explanation);
  byId("error").textContent = error;
  byId("error").hidden = !error;
  draw();
  clearTimeout(announcing);
  announcing = setTimeout(() => { byId("announcement").textContent = error || Number.isNaN(prediction) ? "" : `Predicted ${target.name}: ${shown}`; }, 600);
}

// The chart

function draw() {
  const feature = features[state.axis];
  state.x = drawChart(byId("chart"), { feature, target, value: state.values[state.axis], prediction: state.prediction });
  byId("chart-text").textContent = state.x ? "The model, other features at their typical values" : "These numbers can\u2019t be drawn";
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
byId("key").addEventListener("change", () => { explaining = model.explain !== null; predict(); });
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("chart").addEventListener("pointerdown", (event) => { event.target.setPointerCapture?.(event.pointerId); drag(event); });
byId("chart").addEventListener("pointermove", drag);
byId("axis").value = state.axis;
new ResizeObserver(draw).observe(byId("chart"));
update();
