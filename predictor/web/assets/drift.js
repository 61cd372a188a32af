// Shows how recent requests differ from the training data: GET drift, once, when the page is opened.

async function presentDrift() {
  const response = await fetch("drift", { headers: { accept: "application/json", ...credential() } });
  if (!response.ok) return;
  const { columns, window_seconds: window, fewest_rows: fewest } = await response.json();
  if (!columns.length) return;
  const count = (value) => value === null ? "" : value.toLocaleString("en");
  const verdicts = new Map([[true, "moved"], [false, "no clear change"], [null, `fewer than ${fewest} rows`]]);
  const rows = columns.map(({ name, moved, index, effective_rows: rows, outside, unknown, missing }) => [
    name, verdicts.get(moved), index.toFixed(3), count(Math.round(rows)), count(outside), count(unknown), count(missing),
  ]);
  byId("drift").replaceChildren(...rows.map((cells) => {
    const line = document.createElement("tr");
    line.append(...cells.map((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      const content = document.createElement("bdi");
      content.textContent = text;
      cell.append(content);
      return cell;
    }));
    return line;
  }));
  byId("drift-window").textContent = window >= 3600 ? `${+(window / 3600).toFixed(1)} h` : `${Math.round(window / 60)} min`;
  byId("drift-section").hidden = false;
}

presentDrift().catch(() => {});
