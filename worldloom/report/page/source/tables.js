// Tables that sort by a click on the head of a column, and a filter by name.

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  if (text === "") return null;
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(table, column, heads) {
  const head = heads[column];
  const rising = head.getAttribute("aria-sort") !== "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
  // What is unknown stays at the end, whichever way the rest goes.
  rows.sort(([a], [b]) => (a === null || b === null || rising ? compare(a, b) : -compare(a, b)));
  body.append(...rows.map(([, row]) => row));
}

export function startTables() {
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const label = head.textContent.trim();
      if (!label || head.dataset.plain !== undefined) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, heads));
      head.append(button);
    });
  }
  const filter = document.getElementById("filter");
  if (!filter) return;
  const rows = [...document.querySelectorAll("#views-table tbody tr")];
  const told = document.getElementById("filter-result");
  filter.closest(".filter").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    told.textContent = wanted ? `${shown} of ${rows.length} views` : "";
  });
}
