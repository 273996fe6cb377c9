"use strict";
// Draws the charts, and prepares them for paper.

const PAPER = { wide: 640, half: 315 };
const charts = [...document.querySelectorAll(".chart")];

async function loadPlotly() {
  const text = document.getElementById("plotly").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function draw(chart) {
  const spec = JSON.parse(chart.querySelector("script").textContent);
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const layout = {
    ...spec.layout,
    autosize: true,
    dragmode: touch ? false : "zoom", // A finger on a chart scrolls the page.
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "#22272e" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left", namelength: -1 },
  };
  const options = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  return Plotly.newPlot(chart.querySelector(".plot"), spec.data, layout, options);
}

let closed = [];
window.addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((element) => (element.open = true));
  charts.forEach((chart) => {
    const width = chart.classList.contains("wide") ? PAPER.wide : PAPER.half;
    if (window.Plotly) Plotly.relayout(chart.querySelector(".plot"), { width, height: 240 });
  });
});
window.addEventListener("afterprint", () => {
  closed.forEach((element) => (element.open = false));
  charts.forEach((chart) => {
    if (window.Plotly) Plotly.relayout(chart.querySelector(".plot"), { width: null, height: null, autosize: true });
  });
});

loadPlotly()
  .then(() => Promise.all(charts.map(draw)))
  .then(() => document.body.classList.add("drawn"))
  .catch((error) => {
    document.body.classList.add("not-drawn");
    console.error(error);
  });
