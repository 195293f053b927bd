// Draws the figures in the colours of the page, at its width, and saves them.
"use strict";
(() => {
  const config = { displayModeBar: false, responsive: false, doubleClick: false };
  const figures = [...document.querySelectorAll("figure.picture")].map(element => ({
    element,
    plot: element.querySelector(".plot"),
    spec: JSON.parse(element.querySelector("script").textContent),
  }));

  function look(dark) {
    return {
      ink: dark ? "#e4e8ec" : "#1d2731",
      ground: dark ? "#1b2027" : "#ffffff",
      family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
    };
  }

  // A figure with a width of its own shrinks with the page, and its cells keep their shape.
  function sized(layout, room) {
    const own = layout.width;
    if (!own) return { width: room, height: layout.height };
    const width = Math.min(own, room);
    const m = layout.margin;
    const share = (width - m.l - m.r) / (own - m.l - m.r);
    return { width, height: m.t + m.b + (layout.height - m.t - m.b) * share };
  }

  function dressed(spec, size, colours, extra = {}) {
    return {
      ...spec.layout,
      ...size,
      font: { ...spec.layout.font, color: colours.ink, family: colours.family },
      hoverlabel: { align: "left", bgcolor: colours.ground, font: { color: colours.ink } },
      ...extra,
    };
  }

  let drawn = Promise.resolve();
  function draw(dark, room) {
    drawn = Promise.all(figures.map(({ plot, spec }) => Plotly.react(
      plot,
      spec.data,
      dressed(spec, sized(spec.layout, room ?? plot.clientWidth), look(dark)),
      config,
    ))).then(() => { document.documentElement.dataset.drawn = figures.length; });
  }

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let paper = false;
  const again = () => draw(!paper && prefersDark.matches, paper ? 640 : undefined);
  prefersDark.addEventListener("change", again);
  let waiting, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(again, 120);
  });

  // On paper it is always light, folded tables are open, and the page is as wide as the paper.
  const folded = [...document.querySelectorAll("details")];
  addEventListener("beforeprint", () => {
    folded.forEach(one => { one.dataset.open = one.open; one.open = true; });
    paper = true;
    again();
  });
  addEventListener("afterprint", () => {
    folded.forEach(one => { one.open = one.dataset.open === "true"; });
    paper = false;
    again();
  });

  // A saved figure stands on white, at the size that was drawn, with its keys as a legend.
  document.querySelectorAll(".picture .save button").forEach(button => {
    button.addEventListener("click", () => {
      const { plot, spec } = figures.find(one => one.element.contains(button));
      const size = { width: Math.max(plot.clientWidth, 480), height: spec.layout.height };
      const own = spec.layout.width ? { width: spec.layout.width, height: spec.layout.height } : size;
      const keyed = spec.data.some(trace => trace.showlegend);
      const legend = keyed
        ? { showlegend: true, margin: { ...spec.layout.margin, autoexpand: true },
            width: own.width + 260, legend: { x: 1.02, y: 1 } }
        : {};
      const layout = dressed(spec, own, look(false), { paper_bgcolor: "#ffffff", ...legend });
      Plotly.downloadImage({ data: spec.data, layout }, {
        format: button.value,
        filename: button.parentElement.dataset.name,
        width: layout.width,
        height: layout.height,
        scale: button.value === "png" ? 2 : 1,
      });
    });
  });

  again();
})();
