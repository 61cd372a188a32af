// A table of rows: CSV in, predictions beside the rows, as a table and as a file.

const SHOWN_ROWS = 100;
const SEPARATORS = [",", ";", "\t", "|"];

// Parse CSV (RFC 4180) into rows of fields; blank lines are passed over, as the server does.
function parseCsv(text, separator = ",") {
  const rows = [[]];
  const field = new RegExp(`("(?:[^"]|"")*"|[^${separator}\\r\\n]*)([${separator}]|\\r?\\n|\\r|$)`, "y");
  for (let found; field.lastIndex <= text.length && (found = field.exec(text)); ) {
    rows.at(-1).push(found[1].startsWith('"') ? found[1].slice(1, -1).replaceAll('""', '"') : found[1]);
    if (found[2] === "") break;
    if (found[2] !== separator) rows.push([]);
  }
  return rows.filter((row) => row.length > 1 || row[0]?.trim());
}

// Return the separator that the server finds too: the one that finds most features in the first line, or most fields.
function separatorOf(text) {
  const names = new Set(features.map(({ name }) => name));
  const [line] = text.split(/[\r\n]/, 1);
  const firsts = SEPARATORS.map((separator) => {
    const fields = parseCsv(line, separator)[0] ?? [];
    return { separator, named: fields.filter((field) => names.has(field.trim())).length, fields: fields.length };
  });
  return firsts.sort((one, other) => other.named - one.named || other.fields - one.fields)[0].separator;
}

function writeCsv(rows) {
  const quote = (field) => /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
  return rows.map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}

async function predictTable() {
  const text = byId("csv").value.replace(/^\ufeff/, "");
  byId("table-error").hidden = true;
  byId("table-note").textContent = "Predicting\u2026";
  try {
    const response = await fetch(model.interval ? `batch?interval=${model.interval.level}` : "batch", {
      method: "POST",
      headers: { "content-type": "text/csv", accept: "text/csv", ...credential() },
      body: text,
    });
    const answer = await response.text();
    if (response.status === 401 || response.status === 403) byId("credential").hidden = false;
    if (!response.ok) throw new Error(errorIn(answer) || `The predictor answered with status ${response.status}.`);
    presentTable(parseCsv(text, separatorOf(text)), parseCsv(answer));
  } catch (failure) {
    byId("table-error").textContent = failure instanceof TypeError ? "The predictor can\u2019t be reached." : failure.message;
    byId("table-error").hidden = false;
    byId("table-note").textContent = "";
    byId("table-scroll").hidden = true;
    byId("download").hidden = true;
  }
}

function errorIn(answer) {
  try {
    return JSON.parse(answer).error;
  } catch {
    return "";
  }
}

function presentTable(given, [columns, ...predicted]) {
  const hasHeader = given.length === predicted.length + 1;
  const header = [...(hasHeader ? given[0] : features.map(({ name }) => name)), ...columns];
  const rows = (hasHeader ? given.slice(1) : given).map((row, i) => [...row, ...predicted[i]]);
  const cells = (tag, row, added) => row.map((value, i) => {
    const cell = document.createElement(tag);
    if (tag === "th") cell.scope = "col";
    cell.textContent = tag === "td" && i >= row.length - added ? show(Number(value)) : value;
    return cell;
  });
  const line = (tag, row) => {
    const element = document.createElement("tr");
    element.append(...cells(tag, row, columns.length));
    return element;
  };
  const [head, body] = [document.createElement("thead"), document.createElement("tbody")];
  head.append(line("th", header));
  body.append(...rows.slice(0, SHOWN_ROWS).map((row) => line("td", row)));
  byId("predictions").replaceChildren(head, body);
  byId("table-scroll").hidden = false;
  URL.revokeObjectURL(byId("download").href);
  byId("download").href = URL.createObjectURL(new Blob([writeCsv([header, ...rows])], { type: "text/csv" }));
  byId("download").hidden = false;
  const more = rows.length > SHOWN_ROWS ? `, the first ${SHOWN_ROWS} of them here` : "";
  byId("table-note").textContent = `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "row" : "rows"}${more}.`;
}

async function takeFile(file) {
  if (!file) return;
  byId("csv").value = await file.text();
  predictTable();
}

byId("predict-table").addEventListener("click", predictTable);
byId("csv-file").addEventListener("change", (event) => takeFile(event.target.files[0]));
byId("drop").addEventListener("dragover", (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
byId("drop").addEventListener("dragleave", () => byId("drop").classList.remove("over"));
byId("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  takeFile(event.dataTransfer.files[0]);
});
