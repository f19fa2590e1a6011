"use strict";
// A workbook of one sheet (ECMA-376, part 1) in a zip without compression (PKWARE's APPNOTE, 4.3), which needs no
// library. A cell is a number, or a text that a spreadsheet leaves as it is: no formula, no zero or plus taken away.
const workbook = (() => {
  const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
  const OPEN = "http://schemas.openxmlformats.org/";
  const OFFICE = `${OPEN}officeDocument/2006/relationships`;
  const KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml";

  const remainders = Uint32Array.from({length: 256}, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
    return byte;
  });
  const crc32 = (bytes) => ~bytes.reduce((crc, byte) => remainders[(crc ^ byte) & 255] ^ (crc >>> 8), -1) >>> 0;

  // Numbers, the lowest byte first; `widths` has the bytes of each.
  const packed = (widths, numbers) => {
    const view = new DataView(new ArrayBuffer([...widths].reduce((sum, width) => sum + Number(width), 0)));
    let place = 0;
    numbers.forEach((number, i) => {
      view[widths[i] === "4" ? "setUint32" : "setUint16"](place, number, true);
      place += Number(widths[i]);
    });
    return new Uint8Array(view.buffer);
  };

  const zipped = (files, type) => {
    const encoder = new TextEncoder();
    const bodies = [], directory = [];
    let length = 0, directoryLength = 0;
    for (const [path, text] of files) {
      const name = encoder.encode(path), content = encoder.encode(text);
      // version 2.0, names in UTF-8, stored, midnight of 1 January 1980
      const told = [20, 0x800, 0, 0, 0x21, crc32(content), content.length, content.length, name.length, 0];
      const header = packed("42222244422", [0x04034b50, ...told]);
      directory.push(packed("42222224442222244", [0x02014b50, 20, ...told, 0, 0, 0, 0, length]), name);
      bodies.push(header, name, content);
      length += header.length + name.length + content.length;
    }
    for (const bytes of directory) directoryLength += bytes.length;
    const end = packed("42222442", [0x06054b50, 0, 0, files.length, files.length, directoryLength, length, 0]);
    return new Blob([...bodies, ...directory, end], {type});
  };

  const escaped = (text) =>
    text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt()};`);
  const letters = (column) => (column > 25 ? letters(Math.floor(column / 26) - 1) : "") + String.fromCharCode(65 + (column % 26));
  const cell = (content, place) =>
    typeof content === "number" ? `<c r="${place}"><v>${content}</v></c>` : `<c r="${place}" t="inlineStr"><is><t xml:space="preserve">${escaped(content)}</t></is></c>`;
  const width = (rows, column) => Math.min(60, 2 + Math.max(...rows.map((row) => String(row[column] ?? "").length)));

  return (name, rows) => {
    const columns = rows[0].map((_, i) => `<col min="${i + 1}" max="${i + 1}" width="${width(rows, i)}" customWidth="1"/>`);
    const lines = rows.map((row, i) => `<row r="${i + 1}">${row.map((content, column) => cell(content, `${letters(column)}${i + 1}`)).join("")}</row>`);
    const part = (path, kind) => `<Override PartName="/${path}" ContentType="${KIND}.${kind}+xml"/>`;
    const relation = (kind, target) => `${XML}<Relationships xmlns="${OPEN}package/2006/relationships"><Relationship Id="rId1" Type="${OFFICE}/${kind}" Target="${target}"/></Relationships>`;
    return zipped([
      ["[Content_Types].xml", `${XML}<Types xmlns="${OPEN}package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>${part("xl/workbook.xml", "sheet.main")}${part("xl/worksheets/sheet1.xml", "worksheet")}</Types>`],
      ["_rels/.rels", relation("officeDocument", "xl/workbook.xml")],
      ["xl/workbook.xml", `${XML}<workbook xmlns="${OPEN}spreadsheetml/2006/main" xmlns:r="${OFFICE}"><sheets><sheet name="${escaped(name)}" sheetId="1" r:id="rId1"/></sheets></workbook>`],
      ["xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")],
      ["xl/worksheets/sheet1.xml", `${XML}<worksheet xmlns="${OPEN}spreadsheetml/2006/main"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>${columns.join("")}</cols><sheetData>${lines.join("")}</sheetData></worksheet>`],
    ], `${KIND}.sheet`);
  };
})();
