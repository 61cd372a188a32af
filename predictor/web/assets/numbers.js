// Numbers as a person writes them: few digits, a real minus sign, whole numbers for counts.

function show(value, digits = 5) {
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e9 || size < 1e-4)
    ? value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e")
    : value.toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: size >= 1e4 });
  return text.replace(/-/g, "\u2212");
}

// The decimals with which show() writes a number; null if it writes an exponent.
function decimalsOf(value) {
  const text = show(value);
  return /e/.test(text) ? null : (text.split(".")[1] ?? "").length;
}

function fixed(value, decimals) {
  const text = value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: Math.abs(value) >= 1e4 });
  return text.replace(/^-(?=[0.,]*$)/, "").replace("-", "\u2212");
}

// Round parts to the given decimals so that, as shown, they add up to their rounded total:
// what is left over goes to the parts that rounding changed most.
function roundedParts(parts, total, decimals) {
  const unit = 10 ** -decimals;
  const counts = parts.map((part) => Math.round(part / unit));
  let left = Math.round(total / unit) - counts.reduce((sum, count) => sum + count, 0);
  const order = parts.map((part, i) => i).sort((i, j) => Math.abs(parts[j] / unit - counts[j]) - Math.abs(parts[i] / unit - counts[i]));
  for (const i of order) {
    if (!left) break;
    counts[i] += Math.sign(left);
    left -= Math.sign(left);
  }
  return left ? null : counts.map((count) => count * unit);
}

// The step of an input: a thousandth of its range, as a power of ten; one for counts.
function stepOf({ minimum, maximum, whole }) {
  const width = maximum - minimum;
  if (!(width > 0 && Number.isFinite(width))) return 0;
  const unit = 10 ** (Math.floor(Math.log10(width)) - 3);
  return whole ? Math.max(1, unit) : unit;
}

// Round a value to the step of its input, within the training range.
function round(value, feature) {
  const unit = stepOf(feature);
  if (!unit) return value;
  const tidy = (count) => Number((count * unit).toPrecision(12));
  const nearest = tidy(Math.round(value / unit));
  if (nearest < feature.minimum) return tidy(Math.ceil(feature.minimum / unit));
  if (nearest > feature.maximum) return tidy(Math.floor(feature.maximum / unit));
  return nearest;
}
