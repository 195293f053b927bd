// Clicks on the cells of a head map, each of them kept.
//
// Streamlit draws a figure anew after every click on it. What is clicked meanwhile, on a slow line
// or a busy server, would be lost, so clicks are counted here, beside the figure, and the latest
// ones are all sent each time: [number, layer, head], with numbers that only grow.

const KEPT = 64; // clicks: more than anybody makes before a server answers
const STILL = 6; // pixels that a pointer may move and still have clicked
const GLANCE = 150; // milliseconds between two looks at where the cells are

export default function ({ data, parentElement, setStateValue }) {
  parentElement.map ??= listen(setStateValue);
  parentElement.map.answered(data);
  return parentElement.map.stop;
}

function listen(setStateValue) {
  const clicks = [];
  let map; // what is drawn, and the number of the last click that it is drawn with
  let from; // where a pointer went down
  let area, before; // where the cells are in the figure, and were at the last look

  const figure = () => document.querySelector(`.st-key-${map.key}`);

  function look() {
    const whole = figure()?.getBoundingClientRect();
    const drawn = figure()?.querySelector('.nsewdrag')?.getBoundingClientRect();
    if (!drawn?.width) return;
    const { width, height } = drawn;
    const now = { x: drawn.x - whole.x, y: drawn.y - whole.y, width, height };
    // A figure that is being drawn has another size for a moment.
    if (!area || (before && Object.keys(now).every((side) => now[side] === before[side]))) {
      area = now;
    }
    before = now;
  }

  function down(event) {
    const inside = figure()?.contains(event.target) && !event.target.closest('.modebar');
    from = inside && event.isPrimary && event.button === 0 ? event : null;
  }

  function up(event) {
    const moved = from ? Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) : STILL;
    from = null;
    look();
    if (moved >= STILL || !area || !figure()) return;
    const whole = figure().getBoundingClientRect();
    const head = Math.floor(((event.clientX - whole.x - area.x) / area.width) * map.heads);
    const rows = Math.floor(((event.clientY - whole.y - area.y) / area.height) * map.layers);
    const layer = map.layers - 1 - rows;
    if (head < 0 || head >= map.heads || layer < 0 || layer >= map.layers) return;
    const number = Math.max(Date.now(), 1 + (clicks.at(-1)?.[0] ?? 0));
    clicks.push([number, layer, head]);
    clicks.splice(0, clicks.length - KEPT);
    mark(number, layer, head);
    setStateValue('clicks', [...clicks]);
  }

  /** A frame on the cell until the map is drawn with the click; a second click takes it off. */
  function mark(number, layer, head) {
    const name = `L${layer}H${head}`;
    const there = figure().querySelector(`.clicked[data-head=${name}]`);
    if (there) return there.remove();
    const [width, height] = [area.width / map.heads, area.height / map.layers];
    const frame = document.createElement('div');
    frame.className = 'clicked';
    Object.assign(frame.dataset, { head: name, number });
    Object.assign(frame.style, {
      left: `${area.x + head * width}px`,
      top: `${area.y + (map.layers - 1 - layer) * height}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    figure().append(frame);
  }

  function answered(data) {
    map = data;
    for (const frame of figure()?.querySelectorAll('.clicked') ?? []) {
      if (Number(frame.dataset.number) <= map.taken) frame.remove();
    }
  }

  document.addEventListener('pointerdown', down, true);
  document.addEventListener('pointerup', up, true);
  const looking = setInterval(look, GLANCE);
  return {
    answered,
    stop() {
      document.removeEventListener('pointerdown', down, true);
      document.removeEventListener('pointerup', up, true);
      clearInterval(looking);
    },
  };
}
