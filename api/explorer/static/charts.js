// Draws the charts that a page carries as JSON beside their place. Expressions are interpreted, never compiled: no eval.

const views = new Map();

function json(id) {
  const holder = document.getElementById(id);
  return holder ? JSON.parse(holder.textContent) : null;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const NARROW = 480;

// Where there is little room, words would lie on each other: the axes, the tooltips and the page's tables have them too.
function slimmed(spec) {
  if (!spec.layer) return spec;
  const markOf = (layer) => layer.mark?.type ?? layer.mark;
  const layers = spec.layer.filter((layer) => markOf(layer) !== "text").map((layer) => {
    const range = layer.encoding?.size?.scale?.range;
    if (markOf(layer) !== "circle" || !range) return layer;
    const size = { ...layer.encoding.size, scale: { ...layer.encoding.size.scale, range: range.map((one) => one / 4) } };
    return { ...layer, encoding: { ...layer.encoding, size } };
  });
  return { ...spec, layer: layers };
}

// A single or layered chart fills its place, whose height the page reserved; one of several views keeps its own sizes.
function fitted(spec) {
  if (spec.hconcat || spec.vconcat || spec.concat || spec.facet || spec.repeat) return spec;
  return { ...spec, width: "container", height: "container", autosize: { type: "fit", contains: "padding" } };
}

// The runtime is large: it comes after the page, and only where there is something to draw.
let loading;
function runtime() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector('meta[name="chart-runtime"]').content;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("The chart runtime did not load")));
    document.head.append(script);
  });
  return loading;
}

export async function draw(place, spec) {
  // The new drawing is made behind the old one and takes its place when it is whole: nothing flickers.
  const old = place.querySelector(".drawing");
  const target = document.createElement("div");
  target.className = "drawing next";
  target.setAttribute("aria-hidden", "true");
  place.append(target);
  try {
    await runtime();
    const themes = json("chart-themes");
    const isNarrow = place.clientWidth < NARROW;
    const config = { ...themes[isDark() ? "dark" : "light"] };
    if (isNarrow) config.legend = { ...config.legend, columns: 2 };
    const result = await window.vegaEmbed(target, fitted(isNarrow ? slimmed(spec) : spec), {
      ast: true, actions: false, renderer: "svg", defaultStyle: false, mode: "vega-lite",
      config,
      tooltip: { disableDefaultStyle: true, theme: "page" },
    });
    views.get(place)?.finalize();
    views.set(place, result);
    target.classList.remove("next");
    old.replaceWith(target);
    place.dataset.state = "drawn";
  } catch (error) {
    target.remove();
    place.dataset.state = "failed";
    const words = document.createElement("p");
    words.className = "failed";
    words.textContent = "The chart could not be drawn. The figures are on the page.";
    old.replaceChildren(words);
    console.error(error);
  }
}

export async function drawAll() {
  for (const place of document.querySelectorAll(".chart[data-chart]")) {
    const spec = json(place.dataset.chart);
    if (spec) await draw(place, spec);
  }
}

// A new specification for a chart that is on the page: kept beside it too, for the day that the colours change.
export async function replace(id, spec, words) {
  const holder = document.getElementById(id);
  const place = document.querySelector(`.chart[data-chart="${CSS.escape(id)}"]`);
  if (!holder || !place) return;
  holder.textContent = JSON.stringify(spec);
  place.setAttribute("aria-label", words);
  await draw(place, spec);
}
