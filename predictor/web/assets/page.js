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

function start(feature) {
  if (feature.type !== "number") return feature.typical;
  return round(Math.min(Math.max(feature.typical, feature.minimum), feature.maximum), feature);
}

// What a client sends for an input: a number, true or false, the name of a category, or null if it is missing.
function sent(i) {
  const { type, categories } = features[i];
  const value = state.values[i];
  if (value === null || type === "number") return value;
  return type === "boolean" ? value === 1 : categories[value];
}

// Whether each input has a value that can be sent.
function complete() {
  return state.values.every((value, i) => value === null ? features[i].optional : Number.isFinite(value));
}

// The form

function read(i) {
  const { value, slider } = rows[i];
  const text = value.value.trim();
  // A field with letters in it has an empty value, and says that it is wrong.
  const bad = value.validity.badInput;
  state.values[i] = text === "" ? (features[i].optional && !bad ? null : NaN) : Number(text);
  placeSlider(i);
  slider?.setAttribute("aria-valuetext", value.value || "none");
}

function placeSlider(i) {
  if (!rows[i].slider) return;
  const { minimum, maximum, typical } = features[i];
  const share = ((state.values[i] ?? typical) - minimum) / (maximum - minimum || 1);
  rows[i].slider.value = 1000 * Math.min(Math.max(share, 0), 1);
}

function put(i, number) {
  state.values[i] = number;
  rows[i].value.value = number;
  rows[i].slider?.setAttribute("aria-valuetext", number);
}

function changed(i) {
  state.axis = i;
  byId("axis").value = i;
  update();
}

function update() {
  features.forEach(annotate);
  // The command stays the last one that works.
  if (complete()) {
    const values = features.map((_, i) => sent(i));
    byId("body").textContent = JSON.stringify({ instance: values.length > 1 ? values : values[0] }).replace(/'/g, "'\\''");
  }
  predict();
}

function annotate(feature, i) {
  const value = state.values[i];
  const { note, value: input } = rows[i];
  const beyond = value === null ? "" : value < feature.minimum ? "Below" : value > feature.maximum ? "Above" : "";
  const missing = value === null || Number.isFinite(value) ? "" : "Enter a number.";
  note.textContent = missing || (beyond && `${beyond} the training range: an extrapolation.`);
  note.hidden = !note.textContent;
  note.classList.toggle("wrong", Boolean(missing));
  input.setAttribute("aria-invalid", Boolean(missing));
}

// Show how an explanation differs from the typical row, in numbers that add up as they are shown.
function explain(explanation) {
  const typical = model.typical;
  const shown = explanation && typical && decimalsOf(explanation.prediction);
  const amounts = features.map(({ name }) => explanation && typical ? explanation.contributions[name] - typical.contributions[name] : 0);
  const parts = Number.isInteger(shown) && shown <= 10 ? roundedParts([typical.prediction, ...amounts], explanation.prediction, shown) : null;
  byId("sums").hidden = !parts;
  if (!parts) return;
  const most = Math.max(...amounts.map(Math.abs)) || 1;
  amounts.forEach((amount, i) => {
    const { bar, amount: label } = rows[i];
    const share = (50 * Math.abs(amount)) / most;
    bar.style.setProperty("--from", `${amount < 0 ? 50 - share : 50}%`);
    bar.style.setProperty("--share", `${share}%`);
    bar.classList.toggle("negative", amount < 0);
    label.textContent = (parts[i + 1] < 0 ? "" : "+") + fixed(parts[i + 1], shown);
  });
  byId("typical").textContent = fixed(parts[0], shown);
  byId("total").textContent = fixed(explanation.prediction, shown);
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
  if (!complete()) return present(NaN, "");
  const values = features.map((_, i) => sent(i));
  try {
    const explained = explaining;
    const response = await fetch(explained ? model.explain : "stream", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...credential() },
      body: JSON.stringify(explained ? { instances: [values] } : { instance: values }),
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
  presentInterval(prediction);
  byId("error").textContent = error;
  byId("error").hidden = !error;
  draw();
  clearTimeout(announcing);
  announcing = setTimeout(() => { byId("announcement").textContent = error || Number.isNaN(prediction) ? "" : `Predicted ${target.name}: ${shown}`; }, 600);
}

function presentInterval(prediction) {
  const { interval } = model;
  byId("interval").hidden = !(interval && Number.isFinite(prediction));
  if (byId("interval").hidden) return;
  const [low, high] = [prediction - interval.half, prediction + interval.half];
  byId("interval").textContent = `${show(low, 3)} to ${show(high, 3)} with a probability of ${Math.round(100 * interval.level)}\u00a0%, as far as the held-out rows show`;
}

// The chart

function draw() {
  const feature = features[state.axis];
  state.x = drawChart(byId("chart"), { feature, target, value: state.values[state.axis], prediction: state.prediction });
  byId("chart-text").textContent = state.x ? "The model, other inputs at their typical values" : "These numbers can\u2019t be drawn";
}

function drag(event) {
  if (!state.x?.invert || !(event.buttons & 1)) return;
  const { minimum, maximum } = features[state.axis];
  const pixel = event.clientX - byId("chart").getBoundingClientRect().left;
  put(state.axis, round(Math.min(Math.max(state.x.invert(pixel), minimum), maximum), features[state.axis]));
  placeSlider(state.axis);
  update();
}

rows.forEach(({ slider, value }, i) => {
  const { minimum, maximum } = features[i];
  put(i, state.values[i]);
  placeSlider(i);
  value.addEventListener("input", () => { read(i); changed(i); });
  if (!slider) return;
  value.step = stepOf(features[i]) || "any";
  slider.disabled = !(maximum > minimum && Number.isFinite(maximum - minimum));
  slider.addEventListener("input", () => {
    put(i, round(minimum + (slider.value / 1000) * (maximum - minimum), features[i]));
    changed(i);
  });
});
byId("axis").addEventListener("change", (event) => { state.axis = Number(event.target.value); draw(); });
byId("key").addEventListener("change", () => { explaining = model.explain !== null; predict(); });
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("chart").addEventListener("pointerdown", (event) => { event.target.setPointerCapture?.(event.pointerId); drag(event); });
byId("chart").addEventListener("pointermove", drag);
byId("axis").value = state.axis;
new ResizeObserver(draw).observe(byId("chart"));
update();
