// Clicks on the cells of a head map, each of them kept.
//
// Streamlit draws a figure anew after every click on it. What is clicked meanwhile, on a slow line
// or a busy server, would be lost, so clicks are counted here, beside the figure, and the latest
// ones are all sent each time: [number, layer, head], with numbers that only grow. A layer's
// feed-forward part counts as the head behind the last one, the row of a group of layers as a layer
// above the last one.

const KEPT = 64; // clicks: more than anybody makes before a server answers
const STILL = 6; // pixels that a pointer may move and still have clicked

export default function ({ data, parentElement, setStateValue }) {
  parentElement.map ??= listen(setStateValue);
  parentElement.map.answered(data);
  (parentElement.host ?? parentElement).classList.add('listening');
  return parentElement.map.stop;
}

function listen(setStateValue) {
  const clicks = [];
  let map; // what is drawn, and the number of the last click that it is drawn with
  let from; // where a pointer went down

  const figure = () => document.querySelector(`.st-key-${map.key}`);

  /** Where the cells are in the figure, which keeps its size and margins while it is drawn anew.
      The figure is `across` cells wide and `tall` cells high. */
  function cells() {
    const { x, y, width, height } = figure().getBoundingClientRect();
    const [left, right, top, bottom] = map.margins;
    return {
      ...{ x: x + left, y: y + top, left, top },
      ...{ width: (width - left - right) / map.across, height: (height - top - bottom) / map.tall },
    };
  }

  function down(event) {
    const inside = figure()?.contains(event.target) && !event.target.closest('.modebar');
    from = inside && event.isPrimary && event.button === 0 ? event : null;
  }

  function up(event) {
    const moved = from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY);
    const clicked = from && moved < STILL && figure();
    from = null;
    if (!clicked) return;
    const cell = cells();
    const head = headAt((event.clientX - cell.x) / cell.width);
    const layer = layerAt(map.tall - (event.clientY - cell.y) / cell.height);
    if (head === undefined || layer === undefined) return;
    if (head === map.heads && layer >= map.layers) return;
    const number = Math.max(Date.now(), 1 + (clicks.at(-1)?.[0] ?? 0));
    clicks.push([number, layer, head]);
    clicks.splice(0, clicks.length - KEPT);
    mark(number, layer, head);
    setStateValue('clicks', [...clicks]);
  }

  /** What stands so many cells from the left; undefined for what cannot be clicked. */
  function headAt(across) {
    if (across >= 0 && across < map.heads) return Math.floor(across);
    const [from, to] = map.column ?? [];
    return across >= from && across <= to ? map.heads : undefined;
  }

  /** What stands so many cells from the bottom; undefined for what cannot be clicked. */
  function layerAt(up) {
    if (up < 0 || up >= map.tall) return undefined;
    if (up < map.layers) return Math.floor(up);
    const group = Math.floor(up - map.layers - map.gap);
    return group >= 0 && group < map.groups ? map.layers + group : undefined;
  }

  /** A frame on the cell until the map is drawn with the click; a second click takes it off. */
  function mark(number, layer, head) {
    const name = head < map.heads ? `L${layer}H${head}` : `L${layer}F`;
    const [from, to] = head < map.heads ? [head, head + 1] : map.column;
    const there = figure().querySelector(`.clicked[data-head=${name}]`);
    if (there) return there.remove();
    const { left, top, width, height } = cells();
    const frame = document.createElement('div');
    frame.className = 'clicked';
    Object.assign(frame.dataset, { head: name, number });
    Object.assign(frame.style, {
      left: `${left + from * width}px`,
      top: `${top + (map.tall - 1 - layer - (layer < map.layers ? 0 : map.gap)) * height}px`,
      width: `${(to - from) * width}px`,
      height: `${height}px`,
    });
    figure().append(frame);
  }

  function answered(data) {
    map = data;
    for (const frame of figure()?.querySelectorAll('.clicked') ?? []) {
      // A server that has taken none yet has not got the clicks on the page of the one before.
      if (!map.taken || Number(frame.dataset.number) <= map.taken) frame.remove();
    }
  }

  document.addEventListener('pointerdown', down, true);
  document.addEventListener('pointerup', up, true);
  return {
    answered,
    stop() {
      document.removeEventListener('pointerdown', down, true);
      document.removeEventListener('pointerup', up, true);
    },
  };
}
