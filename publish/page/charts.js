"use strict";
{
  const style = () => getComputedStyle(document.documentElement);
  const colour = (name) => style().getPropertyValue(name).trim();
  const charts = [];

  const number = (cell) => (cell.dataset.sort ?? "") === "" ? null : Number(cell.dataset.sort);

  // A long label takes several lines where there is no room beside the bars.
  const folded = (label) => label.split(" ").reduce((lines, word) => {
    const last = lines.at(-1);
    return last !== undefined && last.length + word.length < 18 ? [...lines.slice(0, -1), `${last} ${word}`] : [...lines, word];
  }, []);

  const draw = (figure) => {
    const table = document.getElementById(figure.dataset.table);
    const rows = [...table.tBodies[0].rows];
    const head = table.tHead.rows[0].cells;
    const colours = colour("--series").split(/\s+/);
    const lying = "lying" in figure.dataset, stacked = "stacked" in figure.dataset;
    const series = figure.dataset.series.split(" ").map(Number);
    const isNarrow = figure.parentElement.clientWidth < 600;
    if (lying) figure.style.height = `${4 + rows.length * Math.max(isNarrow ? 3.2 : 0, stacked ? 1.6 : 0.9 + 0.9 * series.length)}rem`;
    const labels = rows.map((row) => row.cells[figure.dataset.label].innerText.trim()).map((label) => (lying && isNarrow ? folded(label) : label));
    const datasets = series.map((column, place) => ({
      label: head[column].innerText.trim(),
      data: rows.map((row) => number(row.cells[column])),
      backgroundColor: colours[place % colours.length],
      borderColor: colours[place % colours.length],
      borderWidth: figure.dataset.chart === "line" ? 2 : 0,
      pointRadius: 3,
      // Lines are told apart without their colours too.
      pointStyle: ["circle", "rect", "triangle", "rectRot", "star", "cross"][place % 6],
      borderDash: place < colours.length / 2 ? [] : [6, 3],
      spanGaps: true,
    }));
    const axis = {ticks: {color: colour("--ink")}, grid: {color: colour("--line")}, stacked};
    figure.hidden = false;
    charts.push(new Chart(figure.querySelector("canvas"), {
      type: figure.dataset.chart,
      data: {labels, datasets},
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        locale: document.documentElement.lang,
        indexAxis: lying ? "y" : "x",
        scales: {[lying ? "y" : "x"]: {...axis, ticks: {...axis.ticks, autoSkip: !lying}, grid: {display: false}}, [lying ? "x" : "y"]: {...axis, beginAtZero: true}},
        plugins: {legend: {display: series.length > 1, labels: {color: colour("--ink")}}},
      },
    }));
  };

  const drawAll = () => {
    for (const chart of charts.splice(0)) chart.destroy();
    document.querySelectorAll("figure.chart").forEach(draw);
  };

  Chart.defaults.font.family = "system-ui, sans-serif";
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("print").addEventListener("change", drawAll); // paper is white, and as wide as it is
}
