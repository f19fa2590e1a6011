"use strict";
{
  const text = (cell) => cell.innerText.trim();
  const value = (row, column) => row.cells[column].dataset.sort ?? text(row.cells[column]);
  const compare = (a, b) => (a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b, document.documentElement.lang, {numeric: true}));

  const sort = (table, column) => {
    const head = table.tHead.rows[0].cells;
    const direction = head[column].getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const cell of head) cell.removeAttribute("aria-sort");
    head[column].setAttribute("aria-sort", direction);
    const keyed = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => (direction === "ascending" ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };

  const search = (table, wanted, told) => {
    // A phone is found however it is typed, also with the 8 of calls within the country.
    const digits = /^[\d\s()+-]{7,}$/.test(wanted.trim()) ? wanted.replace(/\D/g, "").replace(/^8(?=\d{10}$)/, "7") : "";
    const words = digits ? [digits] : wanted.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const content = digits ? row.textContent.replace(/[\s()+-]/g, "") : row.textContent.toLowerCase();
      row.hidden = !words.every((word) => content.includes(word));
      shown += !row.hidden;
    }
    told.value = words.length ? document.body.dataset.shown.replace("{shown}", shown).replace("{all}", table.tBodies[0].rows.length) : "";
  };

  // What begins like a formula is one to a spreadsheet; a number or a phone is none.
  const plain = (content) => (/^[=@\t\r]|^[+-](?![\d\s().,\u00a0-]*$)/.test(content) ? `'${content}` : content);
  // A spreadsheet takes an INN or a phone for a number, and its zero and plus away, unless a tab says that it is text.
  const kept = (content) => (/^(0\d+|\+?\d{10,})$/.test(content) ? `\t${content}` : plain(content));
  const quoted = (content) => `"${kept(content).replaceAll('"', '""')}"`;

  const shownRows = (table) => [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.hidden)].map((row) => [...row.cells]);
  const plainText = (cell) => cell.textContent.trim();
  // Of a workbook: a number where the cell shows that number and no unit beside it.
  const typed = (cell) => (/^[-−]?\d[\d\u00a0,.]*$/.test(plainText(cell)) && /^-?\d+(\.\d+)?$/.test(cell.dataset.sort ?? "") && cell.classList.contains("number") ? Number(cell.dataset.sort) : plainText(cell));

  const kinds = {
    csv: (table) => {
      const lines = shownRows(table).map((cells) => cells.map((cell) => quoted(plainText(cell))).join(document.body.dataset.separator));
      return new Blob(["\ufeff", lines.join("\r\n"), "\r\n"], {type: "text/csv"});
    },
    xlsx: (table, name) => workbook(name, shownRows(table).map((cells) => cells.map(typed))),
  };

  const save = (table, file) => {
    const [name, kind] = file.split(".");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(kinds[kind](table, name));
    link.download = file;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  for (const tools of document.querySelectorAll(".tools")) {
    const table = tools.nextElementSibling.querySelector("table");
    tools.querySelector("input").addEventListener("input", (event) => search(table, event.target.value, tools.querySelector("output")));
    for (const button of tools.querySelectorAll("button")) button.addEventListener("click", () => save(table, button.dataset.save));
    [...table.tHead.rows[0].cells].forEach((cell, column) => cell.querySelector("button").addEventListener("click", () => sort(table, column)));
    tools.hidden = false;
  }

  const unfold = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (place?.tagName === "DETAILS") place.open = true;
  };
  addEventListener("hashchange", unfold);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  unfold();
}
